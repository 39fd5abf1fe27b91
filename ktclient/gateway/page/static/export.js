// Downloads in the formats of `ktjob export`.

import { el } from "./dom.js";

const FORMATS = [
  ["html", "HTML", "one page that stands alone, to read and print"],
  ["md", "Markdown", "to read and edit"],
  ["csv", "CSV", "a table for LibreOffice or Excel"],
  ["json", "JSON", "for programs, and for ktjob import"],
  ["jsonl", "JSON Lines", "the same, one job on each line"],
];

/** A menu of downloads. `query` says which jobs are meant when one is chosen. */
export function exportMenu(query) {
  const documents = el("input", { type: "checkbox" });
  const thoughts = el("input", { type: "checkbox" });
  const links = FORMATS.map(([form, name, why]) => {
    const link = el("a", { href: "#", download: "" }, el("strong", {}, name), el("span", {}, why));
    link.addEventListener("click", () => {
      const more = `${documents.checked ? "&documents=1" : ""}${thoughts.checked ? "&thoughts=1" : ""}`;
      link.href = `/page/export?${query()}&format=${form}${more}`;
      menu.open = false;
    });
    return el("li", {}, link);
  });
  const menu = el(
    "details", { class: "menu" }, el("summary", { class: "button" }, "Export"),
    el("div", {}, el("ul", {}, ...links), el("label", { class: "check" }, documents, "with the documents"), el("label", { class: "check" }, thoughts, "with thoughts")),
  );
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  addEventListener("click", (event) => { if (menu.open && !menu.contains(event.target)) menu.open = false; });
  return menu;
}
