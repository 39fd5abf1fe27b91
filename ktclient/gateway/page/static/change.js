// The form that changes a job that waits, or runs any job again with something else.

import { el, setText } from "./dom.js";
import { call } from "./api.js";

export class ChangeForm {
  /** `servers`: of the configuration. `done`: called with the id of the job that is to be shown. */
  constructor(job, isNew, servers, done, close) {
    this.job = job;
    this.isNew = isNew;
    this.done = done;
    this.build(servers, close);
  }

  build(servers, close) {
    const { request } = this.job;
    const isBody = this.job.task === "request";
    const isOfDocument = !["request", "batch"].includes(this.job.task);
    this.inputs = {};
    const field = (name, label, input) => {
      input.id = `change-${name}`;
      this.inputs[name] = input;
      return el("div", { class: "field" }, el("label", { for: input.id }, label), input);
    };
    const choice = (options, value) => {
      const select = el("select", {}, ...options.map(([key, text]) => el("option", { value: key }, text)));
      select.value = value;
      return select;
    };
    const question = el("textarea", { rows: 3 });
    question.value = request.question || "";
    const places = [["", `as it is (${request.server})`], ...servers.map((one) => [one.url, one.name ? `${one.name} (${one.url})` : one.url])];
    const fields = [];
    if (isOfDocument || isBody) fields.push(field("max_tokens", "Maximum answer tokens", el("input", { type: "number", min: 1, max: 1000000, value: request.max_tokens })));
    if (isOfDocument) {
      fields.push(field("server", "Server", choice(places, "")));
      fields.push(field("model", "Model", el("input", { value: request.model || "", placeholder: "the server's", autocomplete: "off" })));
      fields.push(field("thinking", "Thinking", choice([["", "as it is"], ["on", "on"], ["off", "off"]], "")));
      fields.push(field("effort", "Effort", choice([["", "as it is"], ["low", "low"], ["medium", "medium"], ["high", "high"], ["max", "max"]], "")));
    }
    fields.push(field("label", "Label", el("input", { maxlength: 80, value: request.label || "", placeholder: "none", autocomplete: "off" })));
    fields.push(field("at", "Start no earlier than", el("input", { placeholder: request.at ? `as it is (${request.at})` : "22:00, +2h or now", autocomplete: "off" })));
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    this.send = el("button", { class: "button primary", type: "submit" }, this.isNew ? "Run again" : "Save");
    this.node = el(
      "form", { class: "change", novalidate: true, "aria-label": this.isNew ? "Run again" : "Edit" },
      isOfDocument ? field("question", request.question === null ? "Another question instead of what it asks" : "Question", question) : null,
      el("div", { class: "grid" }, ...fields),
      el("p", { class: "hint" }, this.hint(isBody)), this.error,
      el("div", { class: "actions" }, this.send, el("button", { type: "button", onclick: close }, "Close")),
    );
    this.before = this.values();
    this.node.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { event.stopPropagation(); close(); }
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.submit();
    });
  }

  hint(isBody) {
    if (this.isNew && isBody) return "A new job with the same messages. The program that sent them gets the answer of its own job, not of this one.";
    if (this.isNew) return "A new job; this one stays as it is. What you do not change is as in this one.";
    if (isBody) return "Its messages came from a program, which gets the answer to exactly these: they are not changed here, nor are server and model.";
    return "It keeps its id and its place. A job that has started is not changed any more.";
  }

  values() {
    return Object.fromEntries(Object.entries(this.inputs).map(([name, input]) => [name, input.value.trim()]));
  }

  focus() {
    (this.inputs.question || Object.values(this.inputs)[0]).focus();
  }

  /** What was changed, as the gateway takes it. */
  changes() {
    const found = {};
    for (const [name, value] of Object.entries(this.values())) {
      if (value === this.before[name]) continue;
      if (name === "max_tokens") found[name] = Number(value);
      else if (name === "thinking") found[name] = value === "on";
      else if (name === "label" || value) found[name] = value;
    }
    return found;
  }

  async submit() {
    const changes = this.changes();
    this.fail("");
    if (!this.isNew && !Object.keys(changes).length) return this.fail("Nothing is changed yet.");
    if ("max_tokens" in changes && !Number.isInteger(changes.max_tokens)) return this.fail("Maximum answer tokens must be a whole number.");
    this.send.disabled = true;
    try {
      const { id } = await call(`/page/jobs/${encodeURIComponent(this.job.id)}/${this.isNew ? "rerun" : "edit"}`, changes);
      this.done(id);
    } catch (error) {
      this.fail(error.message);
    } finally {
      this.send.disabled = false;
    }
  }

  fail(message) {
    this.error.hidden = !message;
    setText(this.error, message);
  }
}
