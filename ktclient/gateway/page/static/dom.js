// Elements from plain values. Text goes in as text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes; `class`; `on…` listeners; null and false leave one out. */
export function el(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

/** Set a text only where it changed: selections and screen readers are left alone. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set or remove an attribute only where it changed. */
export function setAttr(node, name, value) {
  const now = node.getAttribute(name);
  if (value === null || value === undefined || value === false) {
    if (now !== null) node.removeAttribute(name);
  } else if (now !== String(value)) node.setAttribute(name, String(value));
}

/** Put these children into a node in this order, moving as few of them as possible. */
export function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const child of children) {
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
}

export const byId = (id) => document.getElementById(id);

/** Say something to a screen reader, politely. */
export function announce(text) {
  byId("said").textContent = text;
}
