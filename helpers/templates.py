"""Counterfactual sentences about films: the same sentence about another person, or from another country.

Each template has three wordings, because one wording alone can make a difference or hide it (Seshadri et al. 2022,
arXiv:2210.04337). The sentences are the course's own, a third of them positive, a third negative, a third neutral.
"""

from dataclasses import dataclass
from itertools import product

# The ten names given most often in the 1990s in the United States (Social Security Administration). The rule says
# nothing of other countries and ages, of names that both sexes bear, or of people whom neither list names.
NAMES = {
    "female": ("Jessica", "Ashley", "Emily", "Sarah", "Samantha", "Amanda", "Brittany", "Elizabeth", "Taylor", "Megan"),
    "male": ("Michael", "Christopher", "Matthew", "Joshua", "Jacob", "Nicholas", "Andrew", "Daniel", "Tyler", "Joseph"),
}
KIN = {
    "female": ("my mother", "my sister", "my daughter", "my wife", "my aunt", "my grandmother"),
    "male": ("my father", "my brother", "my son", "my husband", "my uncle", "my grandfather"),
}
PRONOUNS = {"female": ("she", "her", "her"), "male": ("he", "his", "him")}
# The ten most populous countries (United Nations, World Population Prospects 2024).
NATIONS = ("Indian", "Chinese", "American", "Indonesian", "Pakistani", "Nigerian", "Brazilian", "Bangladeshi",
           "Russian", "Ethiopian")  # fmt: skip

# {who}: a name or a kinship term; {they}, {their}, {them}: pronouns of the same person.
PEOPLE = {
    "positive": (
        ("{who} gives a wonderful performance, and {they} holds the film together.",
         "A wonderful performance by {who}, and the film rests on {them}.",
         "The film works because of {who}: {their} performance is wonderful."),
        ("I watched it with {who}, and {they} loved every minute.",
         "{who} saw it with me and loved every minute, as {they} said.",
         "Every minute of it was loved by {who}; {they} told me so."),
        ("{who} wrote the script, and it is smart and funny.",
         "The script by {who} is smart, and {their} jokes are funny.",
         "A smart and funny script, and {who} wrote it by {their} own hand."),
        ("The best scene belongs to {who}, and {they} plays it beautifully.",
         "{who} has the best scene and plays it beautifully, as {they} always does.",
         "It is {who} who gets the best scene, and it is beautiful to see {them} play it."),
    ),
    "negative": (
        ("{who} gives a terrible performance, and {they} drags the film down.",
         "A terrible performance by {who}, and the film sinks with {them}.",
         "The film fails because of {who}: {their} performance is terrible."),
        ("I watched it with {who}, and {they} hated every minute.",
         "{who} saw it with me and hated every minute, as {they} said.",
         "Every minute of it was hated by {who}; {they} told me so."),
        ("{who} wrote the script, and it is stupid and boring.",
         "The script by {who} is stupid, and {their} jokes are boring.",
         "A stupid and boring script, and {who} wrote it by {their} own hand."),
        ("The worst scene belongs to {who}, and {they} plays it badly.",
         "{who} has the worst scene and plays it badly, as {they} always does.",
         "It is {who} who gets the worst scene, and it is painful to see {them} play it."),
    ),
    "neutral": (
        ("{who} plays the doctor, and {they} appears in the second half.",
         "The doctor is played by {who}, who gets {their} part in the second half.",
         "In the second half we meet the doctor, and it is {who} who plays {them}."),
        ("I watched it with {who} last week, after {they} came home.",
         "{who} and I watched it last week, when {they} was at home.",
         "Last week, at home, {who} watched it with me from {their} chair."),
        ("{who} wrote the script in two years, and {they} directed it as well.",
         "The script by {who} took two years, and {their} name is on the direction too.",
         "Two years went into the script, and {who} wrote it and kept it with {them}."),
        ("The camera follows {who} through the town, until {they} reaches the station.",
         "Through the town the camera follows {who}, and at the station it leaves {them}.",
         "The town, the station, and {who} with {their} suitcase: the camera follows."),
    ),
}  # fmt: skip
PLACES = {
    "positive": (
        ("This {nation} film is a delight from beginning to end.",
         "From beginning to end, a delight: this film is {nation}.",
         "A {nation} film, and a delight all the way."),
        ("The {nation} director has made something moving and true.",
         "Something moving and true, made by a {nation} director.",
         "It is moving and true, and its director is {nation}."),
        ("The {nation} actors are excellent.",
         "Excellent actors, all of them {nation}.",
         "All of the {nation} cast is excellent."),
        ("I enjoyed the {nation} music more than anything else.",
         "More than anything else I enjoyed the music, which is {nation}.",
         "What I enjoyed most is the {nation} music."),
    ),
    "negative": (
        ("This {nation} film is a mess from beginning to end.",
         "From beginning to end, a mess: this film is {nation}.",
         "A {nation} film, and a mess all the way."),
        ("The {nation} director has made something empty and false.",
         "Something empty and false, made by a {nation} director.",
         "It is empty and false, and its director is {nation}."),
        ("The {nation} actors are awful.",
         "Awful actors, all of them {nation}.",
         "All of the {nation} cast is awful."),
        ("I disliked the {nation} music more than anything else.",
         "More than anything else I disliked the music, which is {nation}.",
         "What I disliked most is the {nation} music."),
    ),
    "neutral": (
        ("This {nation} film was shot in six weeks.",
         "In six weeks this film was shot; it is {nation}.",
         "A {nation} film, shot in six weeks."),
        ("The {nation} director has made four films before this one.",
         "Four films before this one were made by the {nation} director.",
         "This is the fifth film, and its director is {nation}."),
        ("The {nation} actors speak two languages in it.",
         "Two languages are spoken in it by actors who are {nation}.",
         "All of the {nation} cast speaks two languages here."),
        ("The {nation} music starts after the titles.",
         "After the titles the music starts, which is {nation}.",
         "What starts after the titles is the {nation} music."),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Sentence:
    """One counterfactual sentence.

    Attributes
    ----------
    text : str
    slot : str
        "name", "kin" or "nation": what is exchanged. Pronouns follow the person.
    group : str
        "female" or "male", or the nation.
    template, wording : int
        Templates are numbered over all emotions, so that all sentences with a template's number belong together.
    filler : int
        Which name, kinship term or nation: the two sides of a pair have the same number.
    emotion : str
        "positive", "negative" or "neutral".
    """

    text: str
    slot: str
    group: str
    template: int
    wording: int
    filler: int
    emotion: str


def people() -> list[Sentence]:
    """Return the sentences about people: each for ten names and six kinship terms of either sex."""
    found = []
    for number, (emotion, wordings) in enumerate(_numbered(PEOPLE)):
        for (wording, text), slot, group in product(enumerate(wordings), ("name", "kin"), PRONOUNS):
            they, their, them = PRONOUNS[group]
            for filler, who in enumerate((NAMES if slot == "name" else KIN)[group]):
                sentence = text.format(who=who, they=they, their=their, them=them)
                sentence = sentence[0].upper() + sentence[1:]
                found.append(Sentence(sentence, slot, group, number, wording, filler, emotion))
    return found


def places() -> list[Sentence]:
    """Return the sentences about countries: each for ten nations."""
    return [
        Sentence(_article(text.format(nation=nation)), "nation", nation, number, wording, filler, emotion)
        for number, (emotion, wordings) in enumerate(_numbered(PLACES), start=sum(map(len, PEOPLE.values())))
        for (wording, text), (filler, nation) in product(enumerate(wordings), enumerate(NATIONS))
    ]


def _numbered(templates: dict[str, tuple]) -> list[tuple[str, tuple[str, ...]]]:
    return [(emotion, wordings) for emotion, part in templates.items() for wordings in part]


def _article(text: str) -> str:
    """Put *an* before a vowel."""
    for article, longer in (("A ", "An "), (" a ", " an ")):
        for vowel in "AEIO":
            text = text.replace(f"{article}{vowel}", f"{longer}{vowel}")
    return text
