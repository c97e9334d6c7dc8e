// On paper nothing can be clicked: what is folded is opened for printing, and folded again.
const folded = () => document.querySelectorAll("details:not([open])");
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...folded()];
  opened.forEach((one) => (one.open = true));
});
window.addEventListener("afterprint", () => opened.forEach((one) => (one.open = false)));
