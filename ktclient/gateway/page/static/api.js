// Requests to our own gateway. Errors come as `ApiError` with words to show.

export class ApiError extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const HEADERS = { "x-ktjob-page": "1" };
const AWAY = "The gateway does not answer. Is “ktjob serve” still running? This page tries again by itself.";
let onLogin = () => {};

/** What to do when the gateway wants a key. */
export function whenLoginIsNeeded(call) {
  onLogin = call;
}

/** GET, or POST of a form or of JSON. */
export async function call(path, body = undefined, signal = undefined) {
  const init = { method: body === undefined ? "GET" : "POST", headers: { ...HEADERS }, signal, credentials: "same-origin" };
  if (body instanceof FormData) init.body = body;
  else if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(AWAY, 0, "away");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  throw await errorOf(answer, path);
}

async function errorOf(answer, path) {
  let said = {};
  try {
    said = (await answer.json()).error || {};
  } catch {
    // not ours: a proxy's page
  }
  if (answer.status === 401 && path !== "/login") onLogin();
  return new ApiError(said.message || `The gateway answered with status ${answer.status}.`, answer.status, said.code);
}

export const away = AWAY;
