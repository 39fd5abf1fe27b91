// For newcomers: what to do here, and how a program sends its requests.

import { el } from "./dom.js";
import { call } from "./api.js";

const NAME = "MODEL";
let model = null; // the first that the gateway lists

/** The element for a page without an open job. */
export function welcome(isEmpty) {
  const base = `${location.origin}/v1`;
  const shell = `curl ${base}/chat/completions \\\n  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n  -d '{"model": "${NAME}", "messages": [{"role": "user", "content": "Hello"}]}'`;
  const python = `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}", api_key=KEY)\nanswer = client.chat.completions.create(\n    model="${NAME}",\n    messages=[{"role": "user", "content": "Hello"}],\n)`;
  const node = el(
    "div", { class: "welcome" },
    el("h2", {}, isEmpty ? "No jobs yet" : "Pick a job, or start one"),
    el("p", {}, "Drop files anywhere on this page to ask about them, or ", el("a", { href: "#/new" }, "start a new request"), ". What is submitted keeps running, whatever happens to this page."),
    el("h3", {}, "From a program"),
    el("p", {}, "Any OpenAI client works. Change its base URL:"),
    el("p", { class: "base" }, el("code", { id: "base-url" }, base), copy(() => base)),
    example("Python", python), example("curl", shell),
  );
  nameModel(node);
  return node;
}

/** Put a real model's name into the examples, once one is known. */
async function nameModel(node) {
  try {
    model = model || (await call("/v1/models")).data[0].id;
  } catch {
    return; // no server answers: the word in capitals stays
  }
  for (const code of node.querySelectorAll("pre code")) code.textContent = code.textContent.replace(NAME, model);
}

function example(name, text) {
  const code = el("code", {}, text);
  return el("div", { class: "example" }, el("div", { class: "example-head" }, el("span", {}, name), copy(() => code.textContent)), el("pre", { tabindex: "0" }, code));
}

function copy(text) {
  const button = el("button", { type: "button", class: "quiet" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy it"; // no clipboard without https
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return button;
}
