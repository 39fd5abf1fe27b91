// The little of Markdown that answers use, as elements. Nothing is parsed as HTML, and there are no
// links and no images: an answer must not be able to send anybody anywhere.

import { el } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const CELLS = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** A text in blocks, each with its source: one whose source is the same needs no new element. */
export function blocks(text) {
  const lines = text.split("\n");
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const start = at;
    const line = lines[at];
    let kind = "paragraph";
    const fence = FENCE.exec(line);
    if (!line.trim()) { at += 1; continue; }
    if (fence) {
      kind = "code";
      at += 1;
      while (at < lines.length && !(lines[at].trim().startsWith(fence[1]) && !lines[at].trim().slice(fence[1].length))) at += 1;
      at += 1;
    } else if (HEADING.test(line)) { kind = "heading"; at += 1; }
    else if (RULE.test(line)) { kind = "rule"; at += 1; }
    else if (ITEM.test(line)) { kind = "list"; at = whileList(lines, at); }
    else if (/^\s*>/.test(line)) { kind = "quote"; while (at < lines.length && /^\s*>/.test(lines[at])) at += 1; }
    else if (line.includes("|") && CELLS.test(lines[at + 1] || "")) {
      kind = "table";
      while (at < lines.length && lines[at].includes("|")) at += 1;
    } else at = whileParagraph(lines, at);
    found.push({ kind, source: lines.slice(start, Math.min(at, lines.length)).join("\n") });
  }
  return found;
}

function whileList(lines, at) {
  at += 1;
  while (at < lines.length) {
    const isInside = ITEM.test(lines[at]) || /^\s{2,}\S/.test(lines[at]);
    const isGap = !lines[at].trim() && (ITEM.test(lines[at + 1] || "") || /^\s{2,}\S/.test(lines[at + 1] || ""));
    if (!isInside && !isGap && !isLazy(lines[at])) break;
    at += 1;
  }
  return at;
}

const isLazy = (line) => line.trim() && !HEADING.test(line) && !FENCE.test(line) && !RULE.test(line);

function whileParagraph(lines, at) {
  at += 1;
  while (at < lines.length && isLazy(lines[at]) && !ITEM.test(lines[at]) && !/^\s*>/.test(lines[at])) at += 1;
  return at;
}

/** The element of a block. */
export function element({ kind, source }) {
  const lines = source.split("\n");
  if (kind === "code") {
    const mark = FENCE.exec(lines[0])[1];
    const last = lines[lines.length - 1].trim();
    const isClosed = lines.length > 1 && last.startsWith(mark);
    return el("pre", { tabindex: "0" }, el("code", {}, lines.slice(1, isClosed ? -1 : undefined).join("\n")));
  }
  if (kind === "heading") {
    const [, marks, text] = HEADING.exec(lines[0]);
    return el(`h${Math.min(6, marks.length + 2)}`, {}, ...inline(text));
  }
  if (kind === "rule") return el("hr");
  if (kind === "list") return list(lines);
  if (kind === "quote") {
    const inner = lines.map((line) => line.replace(/^\s*>\s?/, "")).join("\n");
    return el("blockquote", {}, ...blocks(inner).map(element));
  }
  if (kind === "table") return table(lines);
  return el("p", {}, ...inline(source));
}

function list(lines) {
  const root = { indent: -1, node: null, item: null };
  const stack = [root];
  for (const line of lines) {
    const found = ITEM.exec(line);
    if (!found) {
      const item = stack[stack.length - 1].item;
      if (line.trim() && item) item.append("\n", ...inline(line.trim()));
      continue;
    }
    const [, blank, mark, text] = found;
    while (stack.length > 1 && blank.length < stack[stack.length - 1].indent) stack.pop();
    if (blank.length > stack[stack.length - 1].indent && stack.length < 12) {
      const isNumbered = /\d/.test(mark);
      const node = el(isNumbered ? "ol" : "ul", isNumbered ? { start: parseInt(mark, 10) } : {});
      const above = stack[stack.length - 1].item;
      if (above) above.append(node);
      else if (!root.node) root.node = node;
      stack.push({ indent: blank.length, node, item: null });
    }
    const top = stack[stack.length - 1];
    top.item = el("li", {}, ...inline(text));
    top.node.append(top.item);
  }
  return root.node;
}

function table(lines) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
  const row = (line, tag) => el("tr", {}, ...cells(line).map((cell) => el(tag, {}, ...inline(cell))));
  return el(
    "div", { class: "table", tabindex: "0" },
    el("table", {}, el("thead", {}, row(lines[0], "th")), el("tbody", {}, ...lines.slice(2).map((line) => row(line, "td")))),
  );
}

const INLINE = /(`+)([^`]+?)\1|\*\*([^*\n]+?)\*\*|__([^_\n]+?)__|(?<![\w*])\*([^*\s][^*\n]*?)\*(?![\w*])|(?<![\w_])_([^_\s][^_\n]*?)_(?![\w_])/g;

function inline(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > at) found.push(text.slice(at, match.index));
    if (match[2] !== undefined) found.push(el("code", {}, match[2]));
    else if (match[3] ?? match[4]) found.push(el("strong", {}, match[3] ?? match[4]));
    else found.push(el("em", {}, match[5] ?? match[6]));
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push(text.slice(at));
  return found;
}

/** A text that grows: only the elements at its end are made again. */
export class Growing {
  constructor(node) {
    this.node = node;
    this.text = "";
    this.shown = [];
    this.isDue = false;
  }

  reset(text = "") {
    this.text = text;
    this.draw();
  }

  add(text) {
    if (!text) return;
    this.text += text;
    if (this.isDue) return;
    this.isDue = true;
    setTimeout(() => { this.isDue = false; this.draw(); }, 60);
  }

  draw() {
    const now = blocks(this.text);
    let same = 0;
    while (same < now.length && same < this.shown.length && now[same].source === this.shown[same].source && now[same].kind === this.shown[same].kind) same += 1;
    while (this.node.children.length > same) this.node.lastElementChild.remove();
    for (const block of now.slice(same)) this.node.append(element(block));
    this.shown = now;
  }
}
