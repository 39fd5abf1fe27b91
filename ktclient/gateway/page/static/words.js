// Numbers, times and states in words, as the command line has them.

let skew = 0; // milliseconds that the gateway's clock is ahead of this one

/** The gateway's time as it was said just now. */
export function setNow(utc) {
  skew = Date.parse(utc) - Date.now();
}

const now = () => Date.now() + skew;

/** Seconds since a UTC time; 0 for one that is to come. */
export function since(utc, until = null) {
  const end = until ? Date.parse(until) : now();
  return Math.max(0, (end - Date.parse(utc)) / 1000);
}

/** 9s, 3m 05s, 1h 02m */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86400)}d ${Math.floor((whole % 86400) / 3600)}h`;
}

/** How long ago, coarsely: it changes rarely. */
export function ago(utc) {
  const seconds = since(utc);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86400);
  return days === 1 ? "yesterday" : `${days} days ago`;
}

/** The age of a job since it was submitted, as short as the lists of the command line have it. */
export function age(utc) {
  const seconds = since(utc);
  if (seconds < 60) return `${Math.floor(seconds)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

/** Why a queued job does not start, as far as it says so itself. */
export function blocked(job) {
  if (job.blocked_by) return job.blocked_by === "held" ? "held" : "paused";
  return job.waits_for && job.waits_for.length ? `after ${job.waits_for.join(", ")}` : "";
}

export function clock(utc) {
  return new Date(utc).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

export const number = (value) => Math.round(value).toLocaleString("en-US");

export function compact(value) {
  if (value >= 999500) return `${(value / 1e6).toFixed(value < 9.95e6 ? 1 : 0)}M`;
  if (value >= 999.5) return `${(value / 1e3).toFixed(value < 9950 ? 1 : 0)}K`;
  return String(Math.round(value));
}

export const count = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

export function bytes(size) {
  if (size >= 1e6) return `${(size / 1e6).toFixed(1)} MB`;
  return size >= 1e3 ? `${Math.round(size / 1e3)} KB` : `${size} bytes`;
}

const STATES = {
  QUEUED: "queued", RUNNING: "running", SUCCEEDED: "done", FAILED: "failed", CANCELLED: "cancelled", LOST: "lost",
};
/** A job with parts is queued while none of them runs. */
const waits = (all) => Boolean(all) && !all.running && all.queued > 0;

export function state(job) {
  if (job.cancel_requested) return "cancelling";
  return waits(job.parts_progress) ? STATES.QUEUED : STATES[job.state] || job.state.toLowerCase();
}

const PHASES = {
  preparing: "looking for the embedded server",
  waiting: "waiting for the first token (silence is normal)",
  prefill: "reading the prompt",
  decode: "writing the answer",
  asking: "running its requests",
};

/** What a running job does, in a few words. */
export function phase(job) {
  if (job.cancel_requested) return "cancelling";
  if (job.phase === "not answering") return "the server does not answer";
  return PHASES[job.phase] || job.phase || "starting";
}

/** 0 to 1; null if unknown. A wait that is counted in seconds has no share. */
export function share(job) {
  const all = job.parts_progress;
  if (job.is_group) return job.total ? job.done / job.total : null;
  if (all) return all.tokens ? Math.min(1, all.tokens_read / all.tokens) : null;
  if (job.done === null || !job.total || job.unit === "seconds") return null;
  return Math.min(1, job.done / job.total);
}

/** The remaining seconds, counted down since the record came. */
export function remaining(job, cameAt) {
  if (job.eta_seconds === null || job.eta_seconds === undefined) return null;
  return Math.max(0, job.eta_seconds - (Date.now() - cameAt) / 1000);
}

/** Progress, speed and remaining time of a running job, each a short text. */
export function progress(job, cameAt) {
  const about = job.is_estimate ? "~" : "";
  const parts = [];
  const part = share(job);
  if (part !== null) parts.push(`${about}${Math.floor(part * 100)} %`);
  if (job.parts_progress) return [...parts, ...together(job.parts_progress, cameAt)];
  if (job.unit === "seconds" && job.done !== null) parts.push(`${duration(job.done)} of ${duration(job.total || 0)}`);
  else if (job.done !== null && job.unit) {
    const of = job.total ? ` of ${compact(job.total)}` : "";
    parts.push(job.unit === "bytes" ? `${bytes(job.done)}` : `${compact(job.done)}${of} ${job.unit}`);
  }
  if (job.tokens_per_second) parts.push(`${about}${number(job.tokens_per_second)} tokens/s`);
  const left = remaining(job, cameAt);
  if (left !== null) parts.push(`first token in ${about}${duration(left)}`);
  return parts;
}

/** The progress of a job with parts: tokens and requests, and the time until all have ended. */
function together(all, cameAt) {
  const parts = [
    `${compact(all.tokens_read)} of ${compact(all.tokens)} tokens`,
    `${number(all.ended)} of ${number(all.requests)} requests`,
  ];
  if (all.failed) parts.push(`${number(all.failed)} failed`);
  if (all.seconds_left !== null) {
    parts.push(`~${duration(Math.max(0, all.seconds_left - (Date.now() - cameAt) / 1000))} left`);
  }
  return parts;
}

/** The question or task of a job on one line. */
export function asked(job) {
  if (job.questions && job.questions.length) return job.questions.join(" · ");
  return { summarize: "Summary", prompt: "Own prompt", request: "Chat request", batch: "Batch" }[job.task] || job.task;
}
