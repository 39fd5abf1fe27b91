// The servers: whether they answer, what is in use of their KV pools, and whose it is.

import { arrange, byId, el, setAttr, setText } from "./dom.js";
import * as words from "./words.js";

export class Servers {
  constructor() {
    this.cards = new Map();
  }

  take(servers) {
    arrange(byId("servers"), servers.map((one) => this.card(one)));
  }

  card(one) {
    let card = this.cards.get(one.url);
    if (!card) this.cards.set(one.url, (card = new Card()));
    card.show(one);
    return card.node;
  }
}

class Card {
  constructor() {
    this.dot = el("i", { class: "dot", "aria-hidden": "true" });
    this.name = el("strong");
    this.place = el("span", { class: "place" });
    this.health = el("span", { class: "health" });
    this.used = el("span", { class: "used" });
    this.reserved = el("span", { class: "reserved" });
    this.pool = el("div", { class: "pool", role: "img" }, this.reserved, this.used);
    this.load = el("span", { class: "load" });
    this.node = el("div", { class: "server" }, el("div", { class: "who" }, this.dot, this.name, this.place, this.health), this.pool, this.load);
  }

  show({ url, name, load, ours }) {
    const host = url.replace(/^https?:\/\//, "");
    setText(this.name, name || host);
    setText(this.place, name && name !== host ? host : "");
    setAttr(this.node, "title", url);
    const state = !load ? "idle" : load.is_up ? "up" : "down";
    setAttr(this.dot, "data-state", state);
    setText(this.health, { idle: "starts when needed", up: "answers", down: "does not answer" }[state]);
    const size = (load && load.pool_tokens) || ours.pool;
    const used = !load ? null : load.used_tokens !== null ? load.used_tokens : load.share !== null && size ? load.share * size : null;
    this.pool.hidden = !size;
    if (size) {
      this.reserved.style.width = percent(ours.reserved / size);
      this.used.style.width = percent((used || 0) / size);
      const inUse = used === null ? "" : `${words.compact(used)} in use, `;
      setAttr(this.pool, "aria-label", `KV pool: ${inUse}${words.compact(ours.reserved)} reserved by ktjob, of ${words.compact(size)} tokens`);
      setAttr(this.pool, "title", this.pool.getAttribute("aria-label"));
    }
    const others = !load || load.running === null ? null : Math.max(0, load.running + (load.waiting || 0) - ours.running);
    const parts = [
      ours.running || ours.waiting ? `${ours.running} running, ${ours.waiting} queued` : "no jobs",
      others ? `${words.count(others, "request")} of others` : null,
      size && used !== null ? `KV ${words.compact(used)} of ${words.compact(size)}` : size ? `KV ${words.compact(ours.reserved)} of ${words.compact(size)} reserved` : null,
    ];
    setText(this.load, parts.filter(Boolean).join(" · "));
  }
}

const percent = (share) => `${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`;
