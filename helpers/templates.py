"""Counterfactual sentences about films: the same sentence about another person, or with another country in it.

Each template has three wordings, because one wording alone can make a difference or hide it (Seshadri et al. 2022,
arXiv:2210.04337). The sentences are the course's own: eight templates are positive, eight negative, eight neutral, and
no two say the same thing, so that each is new evidence.
"""

from dataclasses import dataclass
from itertools import product

# The ten names given most often in the 1990s in the United States (Social Security Administration, "Top names of the
# 1990s"). The rule says nothing of other countries and ages, of names without such frequency in any group but the
# largest, or of names that both sexes bear (Taylor is one).
NAMES = {
    "female": ("Jessica", "Ashley", "Emily", "Sarah", "Samantha", "Amanda", "Brittany", "Elizabeth", "Taylor", "Megan"),
    "male": ("Michael", "Christopher", "Matthew", "Joshua", "Jacob", "Nicholas", "Andrew", "Daniel", "Tyler", "Joseph"),
}
# Not wife and husband: they would tell of the writer too.
KIN = {
    "female": ("my mother", "my sister", "my daughter", "my aunt", "my grandmother", "my niece"),
    "male": ("my father", "my brother", "my son", "my uncle", "my grandfather", "my nephew"),
}
PRONOUNS = {"female": ("she", "her", "her"), "male": ("he", "his", "him")}
# The ten most populous countries (United Nations, World Population Prospects 2024).
NATIONS = ("Indian", "Chinese", "American", "Indonesian", "Pakistani", "Nigerian", "Brazilian", "Bangladeshi",
           "Russian", "Ethiopian")  # fmt: skip

# {who} is a subject: a name, a kinship term, or she and he. {they}, {their}, {them}: pronouns of the same person.
PEOPLE = {
    "positive": (
        ("{who} gives a wonderful performance, and {they} holds the film together.",
         "The film holds together because {who} is wonderful in it, and {they} is in every scene.",
         "{who} is wonderful: take {them} away and the film falls apart."),
        ("{who} sings the last song, and {their} voice is beautiful.",
         "When {who} sings the last song, {their} voice is beautiful.",
         "At the end {who} sings, and it is beautiful to hear {them}."),
        ("{who} directed this film, and {their} first one is a great success.",
         "This is the first film that {who} directed, and we should thank {them} for a great success.",
         "A great success: {who} directed it, and {they} had never made a film before."),
        ("{who} plays the clown, and {they} is very funny.",
         "As the clown {who} is very funny, and everybody laughs with {them}.",
         "Everybody laughs when {who} plays the clown, because {their} timing is perfect."),
    ),
    "negative": (
        ("{who} wrote the script, and {their} dialogue is stupid.",
         "The dialogue is stupid, because {who} wrote it before {they} knew the story.",
         "If {who} wrote this script, somebody should have stopped {them}: it is stupid."),
        ("{who} dances in the film, and {their} dancing is awful.",
         "There is a scene in which {who} dances, and {they} is awful in it.",
         "The dancing is awful when {who} tries it, and the camera does not leave {them}."),
        ("{who} made the effects, and {they} made all of it cheap and ugly.",
         "All of it is cheap and ugly, though {who} worked on the effects until {they} was tired.",
         "Cheap and ugly: so are the effects that {who} made on {their} computer."),
        ("{who} tells the story, and {their} voice is boring.",
         "The story is boring when {who} tells it, and we have to listen to {them} for two hours.",
         "For two hours {who} tells us a story, and {they} is boring."),
    ),
    "neutral": (
        ("{who} is the doctor in this film, and {they} appears after an hour.",
         "After an hour {who} appears as the doctor, in {their} white coat.",
         "In the hospital {who} is the doctor, and the camera follows {them}."),
        ("{who} watched it with me last week, after {they} came home.",
         "Last week {who} watched it with me from {their} chair.",
         "I saw it last week because {who} had it at home, and I sat next to {them}."),
        ("{who} made the film in two years, and {they} also edited it.",
         "It took two years until {who} had edited the film in {their} garage.",
         "In two years {who} made and edited the film, with two people around {them}."),
        ("{who} walks through the town, until {they} comes to the station.",
         "Through the whole town {who} walks, with {their} suitcase.",
         "While {who} walks through the town, the camera stays behind {them}."),
    ),
}  # fmt: skip
PLACES = {
    "positive": (
        ("This {nation} film is a delight from beginning to end.",
         "From beginning to end this {nation} film is a delight.",
         "A {nation} film, and a delight all the way."),
        ("The {nation} director has made something moving and true.",
         "Something moving and true, made by a {nation} director.",
         "Moving and true is what the {nation} director has made."),
        ("The {nation} actors are excellent.",
         "The cast, which is {nation}, is excellent.",
         "Excellent work by the {nation} cast."),
        ("I enjoyed the {nation} music very much.",
         "What I enjoyed very much is the {nation} music.",
         "The {nation} music is what I enjoyed."),
    ),
    "negative": (
        ("The {nation} author has written an empty and false story.",
         "An empty and false story by a {nation} author.",
         "The story, by a {nation} author, is empty and false."),
        ("The part about {nation} food is a mess.",
         "A mess: that is the part about {nation} food.",
         "In the part about {nation} food the film becomes a mess."),
        ("The {nation} version has awful sound.",
         "Awful sound in the {nation} version.",
         "The sound of the {nation} version is awful."),
        ("I was bored by the {nation} series.",
         "The {nation} series bored me.",
         "Two hours of a {nation} series, and I was bored."),
    ),
    "neutral": (
        ("The scenes in the {nation} village were shot in six weeks.",
         "In six weeks the scenes in the {nation} village were shot.",
         "Six weeks were spent on the scenes in the {nation} village."),
        ("It was shown on {nation} television in May.",
         "In May it was shown on {nation} television.",
         "The month in which {nation} television showed it was May."),
        ("The {nation} subtitles are at the edge of the screen.",
         "At the edge of the screen are the {nation} subtitles.",
         "The screen has {nation} subtitles at its edge."),
        ("A {nation} company made the costumes.",
         "The costumes come from a {nation} company.",
         "In the titles a {nation} company is named for the costumes."),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Sentence:
    """One counterfactual sentence.

    Attributes
    ----------
    text : str
    slot : str
        "name", "kin", "pronoun" or "nation": what is exchanged. Pronouns follow the person.
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
    """Return the sentences about people: each for ten names, six kinship terms and a pronoun of either sex."""
    found = []
    for number, (emotion, wordings) in enumerate(_numbered(PEOPLE)):
        for (wording, text), (slot, fillers) in product(enumerate(wordings), _people().items()):
            for group, (they, their, them) in PRONOUNS.items():
                for filler, who in enumerate(fillers[group]):
                    sentence = text.format(who=who, they=they, their=their, them=them)
                    sentence = sentence[0].upper() + sentence[1:]
                    found.append(Sentence(sentence, slot, group, number, wording, filler, emotion))
    return found


def _people() -> dict[str, dict[str, tuple[str, ...]]]:
    return {"name": NAMES, "kin": KIN, "pronoun": {group: (forms[0],) for group, forms in PRONOUNS.items()}}


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
