// One job: its question, its answer as it is written, its progress, and what can be done with it.

import { announce, arrange, el, setAttr, setText } from "./dom.js";
import { call } from "./api.js";
import { ChangeForm } from "./change.js";
import { prefill } from "./chart.js";
import { exportMenu } from "./export.js";
import { Growing } from "./markdown.js";
import { setBar } from "./queue.js";
import * as words from "./words.js";

const FIGURES = [
  ["first_token_seconds", "time to first token", (value) => words.duration(value)],
  ["predicted_seconds", "forecast of the first token", (value) => words.duration(value)],
  ["prompt_tokens", "prompt tokens", words.number],
  ["cached_tokens", "of these cached", words.number],
  ["completion_tokens", "answer tokens", words.number],
  ["thought_tokens", "of these thinking", words.number],
  ["decode_seconds", "writing took", (value) => words.duration(value)],
  ["model", "model", String],
  ["finish_reason", "ended by", String],
];

export class JobView {
  /** `servers`: those of the configuration, once they are known. */
  constructor(id, go, servers) {
    this.id = id;
    this.go = go;
    this.servers = servers;
    this.form = null; // the open ChangeForm
    this.job = null;
    this.cameAt = 0;
    this.drawn = new Map();
    this.build();
    this.timer = setInterval(() => this.tick(), 1000);
  }

  build() {
    this.title = el("h2", { tabindex: "-1" }, "Loading…");
    this.state = el("span", { class: "state" });
    this.meta = el("p", { class: "meta" });
    this.doing = el("div", { class: "doing", hidden: true });
    this.bar = el("progress", { max: 1, "aria-label": "Progress" });
    this.facts = el("p", { class: "facts" });
    this.doing.append(this.bar, this.facts);
    this.cause = el("div", { class: "cause", hidden: true });
    this.question = el("div", { class: "question", hidden: true });
    this.conversation = el("details", { class: "conversation", hidden: true, ontoggle: () => this.loadConversation() }, el("summary", {}, "What was sent"), el("div"));
    this.parts = el("p", { class: "facts", hidden: true });
    this.thoughts = el("details", { class: "thoughts", hidden: true }, el("summary", {}, "Thoughts"));
    this.thoughtText = new Growing(this.thoughts.appendChild(el("div", { class: "prose" })));
    this.answer = el("div", { class: "prose answer", hidden: true });
    this.answerText = new Growing(this.answer);
    this.waiting = el("p", { class: "waiting", hidden: true });
    this.chart = el("figure", { class: "prefill", hidden: true });
    this.figures = el("dl", { class: "figures", hidden: true });
    this.attempts = el("details", { class: "attempts", hidden: true });
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    this.actions = this.buttons();
    this.follow = this.followUp();
    this.blocked = el("p", { class: "cause blocked", hidden: true });
    this.group = el("a", { hidden: true });
    this.change = el("div", { hidden: true });
    this.node = el(
      "article", { class: "job" },
      el("div", { class: "job-head" }, el("a", { class: "back", href: "#/" }, "All jobs"), el("div", { class: "names" }, this.title, this.state), this.meta, this.group),
      this.actions, this.error, this.change, this.blocked, this.doing, this.parts, this.cause, this.question, this.conversation, this.thoughts, this.answer, this.waiting, this.follow, this.chart, this.figures, this.attempts,
    );
  }

  buttons() {
    const button = (name, text, act) => (this[name] = el("button", { type: "button", hidden: true, onclick: act }, text));
    const download = (name, text, path) => (this[name] = el("a", { class: "button", hidden: true, href: `/page/jobs/${this.id}/${path}`, download: "" }, text));
    return el(
      "div", { class: "actions" },
      button("cancelButton", "Cancel", () => this.act("cancel", "cancel requested")),
      button("retryButton", "Retry", () => this.act("retry", "created as a retry")),
      button("editButton", "Edit", () => this.openForm(false)),
      button("holdButton", "Hold", () => this.together("hold", "held")),
      button("releaseButton", "Release", () => this.together("release", "released")),
      button("firstButton", "Run first", () => this.prioritize(null)),
      button("lastButton", "Run last", () => this.prioritize(-1000)),
      button("rerunButton", "Run again …", () => this.openForm(true)),
      download("answerLink", "Download answer", "answer"),
      download("documentLink", "Download document", "document"),
      (this.exports = exportMenu(() => `ids=${encodeURIComponent(this.id)}`)),
      button("deleteButton", "Delete", () => this.confirmDelete()),
    );
  }

  followUp() {
    const input = el("textarea", { rows: 2, placeholder: "Ask another question about this document", "aria-label": "Another question about this document", required: true });
    const send = el("button", { class: "button primary", type: "submit" }, "Ask");
    const form = el("form", { class: "follow", hidden: true }, input, send);
    form.addEventListener("submit", (event) => { event.preventDefault(); this.ask(input, send); });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
    });
    return form;
  }

  show(job) {
    const before = this.job;
    this.job = job;
    this.cameAt = Date.now();
    setText(this.title, job.title);
    setText(this.state, words.state(job));
    setAttr(this.state, "data-state", job.state);
    this.showMeta(job);
    this.showQuestion(job);
    const figures = { ...job.figures, tokens_per_second: null, eta_seconds: null, eta_at: null, prefill_progress: null };
    this.draw("cause", [job.state, job.message, job.figures.warning, job.figures.last_refusal, job.next], () => this.showCause(job));
    const offered = { edit: "editButton", hold: "holdButton", release: "releaseButton", rerun: "rerunButton" };
    for (const [what, name] of Object.entries(offered)) this[name].hidden = !job.can[what];
    this.firstButton.hidden = !job.can.prioritize || !job.can.put_first;
    this.lastButton.hidden = !job.can.prioritize || job.priority <= -1000;
    this.exports.hidden = !job.can.export;
    if (this.form && !job.can[this.form.isNew ? "rerun" : "edit"]) this.closeForm();
    this.blocked.hidden = !job.blocked;
    setText(this.blocked, job.blocked ? job.blocked.replace(/; to start it: .*/, "") : "");
    this.group.hidden = !job.group;
    setAttr(this.group, "href", job.group ? `#/group/${encodeURIComponent(job.group)}` : null);
    setText(this.group, job.group ? `in group ${job.group}` : "");
    this.cancelButton.hidden = !job.can.cancel;
    this.retryButton.hidden = !job.can.retry;
    this.deleteButton.hidden = !job.can.delete;
    this.documentLink.hidden = Boolean(job.imported) && !job.imported.has_document;
    const names = { request: ["Download answer", "Download request"], batch: ["Download results", "Download requests"] }[job.task] || ["Download answer", "Download document"];
    setText(this.answerLink, names[0]);
    setText(this.documentLink, names[1]);
    this.conversation.hidden = job.task !== "request";
    this.showParts(job);
    this.follow.hidden = !job.can.ask || job.state === "QUEUED";
    this.draw("figures", [figures, job.reserved_tokens], () => this.showFigures(job));
    this.draw("chart", [job.figures.prefill_progress, job.figures.prompt_tokens, job.phase === "decode"], () => this.showChart(job));
    this.draw("attempts", [job.attempts.map((one) => [one.number, one.outcome, one.phase, one.message])], () => this.showAttempts(job));
    this.tick();
    this.showText();
    this.place();
    if (before && before.state !== job.state) announce(`${job.title}: ${words.state(job)}`);
  }

  /** Draw a part again only where what it shows has changed: a selection in it stays. */
  draw(part, shown, call) {
    const now = JSON.stringify(shown);
    if (this.drawn.get(part) === now) return;
    this.drawn.set(part, now);
    call();
  }

  showMeta(job) {
    const model = job.figures.model || job.model;
    const server = model ? `${model} on ${job.server}` : job.server;
    const parts = [
      `job ${job.id}`, words.asked(job) === "Summary" ? "summary" : null, server,
      `up to ${words.count(job.max_tokens, "answer token")}`, `submitted ${words.clock(job.created_at)}`,
      job.label ? `label ${job.label}` : null, job.priority ? `priority ${job.priority}` : null,
      job.imported ? `imported ${words.clock(job.imported.at)}${job.imported.has_document ? "" : ", without its document"}` : null, ...(job.remarks || []),
    ];
    setText(this.meta, parts.filter(Boolean).join(" · "));
  }

  showQuestion(job) {
    const text = job.questions.length ? job.questions.join("\n") : job.task === "prompt" ? job.instruction : "";
    this.question.hidden = !text;
    setText(this.question, text);
  }

  showCause(job) {
    const warning = job.figures.warning;
    const isBad = ["FAILED", "LOST"].includes(job.state) || (job.state === "CANCELLED" && job.message);
    const why = isBad ? job.message : warning;
    const refusal = job.state === "RUNNING" ? job.figures.last_refusal : null;
    this.cause.hidden = !(why || refusal);
    setAttr(this.cause, "data-kind", isBad && job.state !== "CANCELLED" ? "bad" : "note");
    const steps = isBad ? job.next.filter((one) => !/^ktjob (result|retry|ask) /.test(one.command)) : [];
    this.cause.replaceChildren(
      el("p", {}, why || refusal || ""),
      ...(isBad && job.cause && job.state !== "CANCELLED" ? [el("p", { class: "code" }, job.cause.replaceAll("_", " "))] : []),
      ...(steps.length ? [el("p", { class: "todo" }, "What to do")] : []),
      ...steps.map((one) => el("p", { class: "step" }, el("code", {}, one.command), el("span", {}, one.why))),
    );
  }

  /** The messages of a chat, once somebody opens them: they may be long. */
  async loadConversation() {
    if (!this.conversation.open || this.isLoaded) return;
    this.isLoaded = true;
    try {
      const { messages } = await call(`/page/jobs/${encodeURIComponent(this.id)}/messages`);
      this.conversation.lastElementChild.replaceChildren(...messages.map((one) => el("div", { class: "message" },
        el("strong", {}, one.role),
        el("p", {}, one.text + (one.characters > one.text.length ? ` … (${words.count(one.characters, "character")} in all)` : "")))));
    } catch (error) {
      this.isLoaded = false;
      this.fail(error.message);
    }
  }

  showParts(job) {
    this.parts.hidden = !job.parts;
    if (!job.parts) return;
    const { total, succeeded, running, queued, kind } = job.parts;
    const ended = total - succeeded - running - queued;
    const noun = kind === "batch" ? "request" : "part";
    setText(this.parts, [`${words.count(total, noun)}: ${words.number(succeeded)} done`, running ? `${words.number(running)} running` : null,
      queued ? `${words.number(queued)} queued` : null, ended ? `${words.number(ended)} without success` : null].filter(Boolean).join(", "));
  }

  showFigures(job) {
    const found = FIGURES.filter(([name]) => job.figures[name] !== undefined && job.figures[name] !== null && job.figures[name] !== 0);
    const rows = found.map(([name, label, format]) => [label, format(job.figures[name])]);
    const { completion_tokens: written, decode_seconds: took } = job.figures;
    if (written && took) rows.push(["writing speed", `${(written / took).toFixed(1)} tokens/s`]);
    const { prompt_tokens: read, first_token_seconds: first } = job.figures;
    if (read && first) rows.push(["reading speed", `${words.number(read / first)} tokens/s`]);
    if (job.reserved_tokens) rows.push(["reserved in the KV pool", words.count(job.reserved_tokens, "token")]);
    this.figures.hidden = !rows.length || !Object.keys(job.figures).length;
    this.figures.replaceChildren(...rows.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value))));
  }

  showChart(job) {
    const samples = job.figures.prefill_progress || [];
    const total = job.figures.prompt_tokens || job.total || (job.counted ? job.counted[1] : null);
    this.chart.hidden = samples.length < 2;
    if (this.chart.hidden) return;
    this.chart.replaceChildren(
      el("figcaption", {}, el("strong", {}, "Prefill"), el("span", { class: "key done" }, "tokens read"),
        job.figures.predicted_seconds ? el("span", { class: "key forecast" }, "forecast") : null),
      prefill(samples, job.phase === "decode" && !job.figures.prompt_tokens ? samples[samples.length - 1][0] : total, job.figures.predicted_seconds || null,
        Math.min(720, Math.max(280, this.node.clientWidth || 640))),
    );
  }

  showAttempts(job) {
    const isWorth = job.attempts.length > 1 || job.attempts.some((one) => one.outcome && one.outcome !== "SUCCEEDED") ;
    this.attempts.hidden = !isWorth;
    if (!isWorth) return;
    const rows = job.attempts.map((one) => el("li", {},
      el("span", { class: "state", "data-state": one.outcome || "RUNNING" }, (one.outcome || "running").toLowerCase()),
      ` ${words.clock(one.started_at)}, ${words.duration(words.since(one.started_at, one.ended_at))}, in phase “${one.phase}”`,
      one.message ? el("p", {}, one.message) : null));
    const isOpen = this.attempts.open;
    this.attempts.replaceChildren(el("summary", {}, `${job.attempts.length} of ${words.count(job.max_attempts, "attempt")}`), el("ol", {}, ...rows));
    this.attempts.open = isOpen;
  }

  /** The chart stands above while the prompt is read, and below the answer afterwards. */
  place() {
    const isReading = this.job.state === "RUNNING" && this.answer.hidden;
    const next = isReading ? this.cause : this.figures;
    if (this.chart.nextElementSibling !== next) next.before(this.chart);
  }

  text(data) {
    if (data.reset) {
      this.answerText.reset(data.answer);
      this.thoughtText.reset(data.thoughts);
    } else {
      this.answerText.add(data.answer);
      this.thoughtText.add(data.thoughts);
    }
    this.showText();
    if (this.job) this.place();
  }

  showText() {
    const has = this.answerText.text.trim();
    this.answer.hidden = !has;
    this.thoughts.hidden = !this.thoughtText.text.trim();
    this.answerLink.hidden = !has;
    const isOpen = this.job && !["SUCCEEDED", "FAILED", "CANCELLED", "LOST"].includes(this.job.state);
    setAttr(this.answer, "aria-busy", isOpen ? "true" : null);
    const isBatch = this.job && this.job.task === "batch";
    this.waiting.hidden = Boolean(has) || !this.job || (this.job.state !== "SUCCEEDED" && !isBatch);
    setText(this.waiting, isBatch ? "The results of a batch are many lines: download them." : "The answer is empty.");
    if (isBatch) this.answerLink.hidden = false;
  }

  tick() {
    const job = this.job;
    if (!job) return;
    const isRunning = job.state === "RUNNING";
    this.doing.hidden = !isRunning && job.state !== "QUEUED";
    this.bar.hidden = !isRunning;
    if (isRunning) {
      setBar(this.bar, job);
      setText(this.facts, [words.phase(job), ...words.progress(job, this.cameAt), `${words.duration(words.since(job.started_at))} elapsed`].join(" · "));
    } else if (job.state === "QUEUED") {
      setText(this.facts, job.waits_for.length ? `waits for job ${job.waits_for.join(", ")}` : `queued for ${words.duration(words.since(job.created_at))}${job.blocked ? "" : job.not_before && Date.parse(job.not_before) > Date.now() ? `; not before ${words.clock(job.not_before)}` : "; it starts when its server has room"}`);
    }
  }

  gone(message) {
    this.job = null;
    setText(this.title, "There is no such job");
    setText(this.meta, message);
    arrange(this.actions, []);
    this.closeForm();
    for (const one of [this.state, this.blocked, this.group, this.parts, this.conversation, this.doing, this.cause, this.question, this.thoughts, this.answer, this.follow, this.chart, this.figures, this.attempts]) one.hidden = true;
  }

  async act(what, said) {
    this.fail("");
    const title = this.title.textContent; // it may be gone before the answer comes
    try {
      const { id } = await call(`/page/jobs/${encodeURIComponent(this.id)}/${what}`, {});
      announce(`${title}: ${said}`);
      if (id !== this.id) this.go(`#/job/${id}`);
      return true;
    } catch (error) {
      this.fail(error.message);
      return false;
    }
  }

  /** What several jobs can be asked for, of this one. */
  async together(what, said) {
    this.fail("");
    const title = this.title.textContent;
    try {
      const { refused } = await call(`/page/several/${what}`, { ids: [this.id] });
      if (refused[this.id]) this.fail(refused[this.id]);
      else announce(`${title}: ${said}`);
    } catch (error) {
      this.fail(error.message);
    }
  }

  async prioritize(priority) {
    this.fail("");
    try {
      await call(`/page/jobs/${encodeURIComponent(this.id)}/priority`, { priority });
      announce(`${this.title.textContent}: ${priority === null ? "runs first" : "runs last"}`);
    } catch (error) {
      this.fail(error.message);
    }
  }

  openForm(isNew) {
    if (this.form && this.form.isNew === isNew) return this.closeForm();
    const done = (id) => { announce(isNew ? "created as a new job" : "changed"); this.closeForm(); if (isNew) this.go(`#/job/${id}`); };
    this.form = new ChangeForm(this.job, isNew, this.servers(), done, () => this.closeForm());
    this.change.replaceChildren(this.form.node);
    this.change.hidden = false;
    this.form.focus();
  }

  closeForm() {
    if (!this.form) return;
    const button = this.form.isNew ? this.rerunButton : this.editButton;
    const had = this.change.contains(document.activeElement);
    this.form = null;
    this.change.hidden = true;
    this.change.replaceChildren();
    if (had && !button.hidden) button.focus();
  }

  async confirmDelete() {
    if (this.deleteButton.dataset.sure !== "yes") {
      this.deleteButton.dataset.sure = "yes";
      setText(this.deleteButton, "Delete for good?");
      setTimeout(() => { delete this.deleteButton.dataset.sure; setText(this.deleteButton, "Delete"); }, 4000);
      return;
    }
    if (await this.act("delete", "deleted")) this.go("#/");
  }

  async ask(input, send) {
    this.fail("");
    send.disabled = true;
    try {
      const { id } = await call(`/page/jobs/${encodeURIComponent(this.id)}/ask`, { question: input.value });
      input.value = "";
      this.go(`#/job/${id}`);
    } catch (error) {
      this.fail(error.message);
    } finally {
      send.disabled = false;
    }
  }

  fail(message) {
    this.error.hidden = !message;
    setText(this.error, message);
  }

  close() {
    clearInterval(this.timer);
  }
}
