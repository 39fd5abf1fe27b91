// The form for new requests: documents, what to ask, and the forecast before anything is sent.

import { announce, el, setText } from "./dom.js";
import { call } from "./api.js";
import * as words from "./words.js";

const CHECK_AFTER_MS = 500;

export class Form {
  constructor(setup, go) {
    this.setup = setup;
    this.go = go;
    this.files = [];
    this.build();
  }

  build() {
    const change = () => this.changed();
    this.input = el("input", { type: "file", multiple: true, id: "files", onchange: () => { this.add([...this.input.files]); this.input.value = ""; } });
    this.zone = el("label", { class: "dropzone", for: "files" }, this.input, el("strong", {}, "Drop files here, or choose them"), el("span", {}, "Text, PDF, Word, PowerPoint, HTML, EPUB … each file becomes one job"));
    this.list = el("ul", { class: "files" });
    this.text = el("textarea", { id: "text", rows: 2, placeholder: "… or paste a text here", "aria-label": "Pasted text", oninput: change });
    this.task = el("select", { id: "task", onchange: () => this.showTask() },
      el("option", { value: "summarize" }, "Summarize"), el("option", { value: "ask" }, "Ask a question"), el("option", { value: "prompt" }, "Own prompt"),
      this.setup.templates.length ? el("optgroup", { label: "Templates" }, ...this.setup.templates.map((one) => el("option", { value: `template:${one.name}` }, one.description ? `${one.name}: ${one.description}` : one.name))) : null);
    this.question = el("textarea", { id: "question", rows: 2, oninput: change });
    this.questionLabel = el("label", { for: "question" }, "Question");
    this.variables = el("div", { class: "variables" });
    this.server = el("select", { id: "server", onchange: change }, el("option", { value: "" }, "chosen automatically"),
      ...this.setup.servers.map((one) => el("option", { value: one.url }, one.name ? `${one.name} (${one.url})` : one.url)));
    this.models = el("datalist", { id: "models" });
    this.model = el("input", { id: "model", list: "models", placeholder: "the server's", autocomplete: "off", onchange: change });
    this.most = el("input", { id: "most", type: "number", min: 1, max: 1000000, inputmode: "numeric", placeholder: "1024", onchange: change });
    this.label = el("input", { id: "label", maxlength: 80, placeholder: "none", autocomplete: "off" });
    this.forecast = el("div", { class: "forecast-box", "aria-live": "polite", hidden: true });
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    this.send = el("button", { class: "button primary", type: "submit" }, "Submit");
    const field = (name, id, input) => el("div", { class: "field" }, typeof name === "string" ? el("label", { for: id }, name) : name, input);
    this.questionField = field(this.questionLabel, "question", this.question);
    this.node = el("form", { class: "new", novalidate: true },
      el("div", { class: "job-head" }, el("a", { class: "back", href: "#/" }, "All jobs"), el("h2", { tabindex: "-1" }, "New request")),
      this.zone,
      this.list, this.text,
      field("Task", "task", this.task), this.questionField, this.variables,
      el("details", { class: "more-options" }, el("summary", {}, "Server, model, length, label"),
        el("div", { class: "grid" }, field("Server", "server", this.server), field("Model", "model", this.model), this.models, field("Maximum answer tokens", "most", this.most), field("Label", "label", this.label))),
      this.forecast, this.error, el("div", { class: "actions" }, this.send, el("span", { class: "hint" }, "It keeps running when you close this page.")));
    this.node.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.node.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.submit(); });
    this.showTask();
  }

  /** Add files; one of the same name and size only once. */
  add(files) {
    for (const file of files) {
      if (!this.files.some((one) => one.name === file.name && one.size === file.size)) this.files.push(file);
    }
    this.showFiles();
    this.changed();
    if (files.length) announce(`${words.count(this.files.length, "file")} chosen`);
  }

  showFiles() {
    this.zone.classList.toggle("small", this.files.length > 0);
    this.list.replaceChildren(...this.files.map((file) => el("li", {},
      el("span", { class: "name" }, file.name), el("span", { class: "size" }, words.bytes(file.size)),
      el("button", { type: "button", class: "quiet", "aria-label": `Remove ${file.name}`, onclick: () => this.remove(file) }, "Remove"))));
  }

  remove(file) {
    this.files = this.files.filter((one) => one !== file);
    this.showFiles();
    this.changed();
  }

  showTask() {
    const task = this.task.value;
    this.questionField.hidden = !["ask", "prompt"].includes(task);
    setText(this.questionLabel, task === "prompt" ? "Prompt, placed behind the document" : "Question");
    const template = this.setup.templates.find((one) => `template:${one.name}` === task);
    const variables = template ? Object.entries(template.variables) : [];
    this.variables.replaceChildren(...variables.map(([name, value]) => el("div", { class: "field" },
      el("label", { for: `var-${name}` }, name), el("input", { id: `var-${name}`, name: `var.${name}`, placeholder: value ?? "needed", autocomplete: "off", onchange: () => this.changed() }))));
    this.most.placeholder = String((template && template.max_tokens) || 1024);
    this.changed();
  }

  data() {
    const form = new FormData();
    // As a part's name: browsers change quotes and line ends in that of a file.
    for (const file of this.files) form.append(`file:${encodeURIComponent(file.name)}`, file, "file");
    form.set("text", this.text.value);
    form.set("task", this.task.value);
    if (!this.questionField.hidden) form.set("question", this.question.value);
    for (const input of this.variables.querySelectorAll("input")) form.set(input.name, input.value);
    for (const [name, input] of [["server", this.server], ["model", this.model], ["max_tokens", this.most], ["label", this.label]]) form.set(name, input.value);
    return form;
  }

  get isReady() {
    const hasDocument = this.files.length || this.text.value.trim();
    return Boolean(hasDocument) && (this.questionField.hidden || this.question.value.trim());
  }

  changed() {
    clearTimeout(this.timer);
    if (this.checking) this.checking.abort();
    this.fail("");
    if (!this.isReady) { this.forecast.hidden = true; return; }
    this.forecast.hidden = false;
    this.forecast.dataset.state = "busy";
    if (!this.forecast.children.length) this.forecast.append(el("p", {}, "Checking whether it fits …"));
    this.timer = setTimeout(() => this.check(), CHECK_AFTER_MS);
  }

  async check() {
    const checking = (this.checking = new AbortController());
    try {
      const found = await call("/page/check", this.data(), checking.signal);
      if (checking === this.checking) this.showForecast(found);
    } catch (error) {
      if (error.name === "AbortError" || checking !== this.checking) return;
      this.forecast.dataset.state = "bad";
      this.forecast.replaceChildren(el("p", {}, error.message));
    }
  }

  showForecast(found) {
    this.forecast.dataset.state = found.can_run ? "fits" : "bad";
    this.models.replaceChildren(...found.models.map((one) => el("option", { value: one })));
    const several = found.documents.length > 1;
    const where = [found.model, found.server].filter(Boolean).join(" on ");
    this.forecast.replaceChildren(
      el("p", { class: "verdict" }, found.can_run ? "It fits." : several ? "Not all of it fits." : "It does not fit."),
      ...found.documents.map((one) => el("p", { class: one.can_run ? "" : "bad" },
        several ? el("strong", {}, `${one.title}: `) : null,
        [one.tokens, one.split ? `in ${words.count(one.split.parts, "part")} (${words.count(one.split.requests, "request")})` : null, one.can_run ? one.time : `${one.reason}${one.fix ? `. ${one.fix}` : ""}`].filter(Boolean).join(" · "),
        ...one.remarks.map((remark) => el("span", { class: "remark" }, remark)))),
      found.documents.some((one) => one.split) ? el("p", { class: "hint" }, "Parts are processed independently, so cross-part context may be missed.") : "",
      el("p", { class: "hint" }, `Runs on ${where} (${found.why}).`),
      ...found.ahead.map((line) => el("p", { class: "hint" }, line)),
    );
  }

  async submit() {
    if (!this.isReady) {
      this.fail(this.files.length || this.text.value.trim() ? "Type the question first." : "Drop a file or paste a text first.");
      return;
    }
    clearTimeout(this.timer);
    if (this.checking) this.checking.abort();
    this.fail("");
    this.send.disabled = true;
    setText(this.send, "Submitting …");
    try {
      const { ids } = await call("/page/jobs", this.data());
      announce(`${words.count(ids.length, "job")} submitted`);
      this.files = [];
      this.text.value = this.question.value = "";
      this.showFiles();
      this.forecast.hidden = true;
      this.go(ids.length === 1 ? `#/job/${ids[0]}` : "#/");
    } catch (error) {
      this.fail(error.message);
    } finally {
      this.send.disabled = false;
      setText(this.send, "Submit");
    }
  }

  fail(message) {
    this.error.hidden = !message;
    setText(this.error, message);
  }
}
