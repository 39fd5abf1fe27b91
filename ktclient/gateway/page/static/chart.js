// How far a prefill was at each time, against the forecast. A little SVG, with the same in words.

import { svg } from "./dom.js";
import { compact, duration } from "./words.js";

const HEIGHT = 200, LEFT = 46, RIGHT = 12, TOP = 12, BOTTOM = 26;

/** `samples`: [tokens, seconds since it was sent] in order; `total` tokens; `predicted` seconds or
    null; `width` pixels. Returns an element. */
export function prefill(samples, total, predicted, width = 640) {
  const points = [[0, 0], ...samples];
  const [doneLast, last] = points[points.length - 1];
  const most = Math.max(total || 0, doneLast, 1);
  const end = Math.max(predicted || 0, last, 1) * 1.04;
  const x = (seconds) => LEFT + ((width - LEFT - RIGHT) * seconds) / end;
  const y = (tokens) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * tokens) / most;
  const line = (all) => all.map(([tokens, seconds], at) => `${at ? "L" : "M"}${x(seconds).toFixed(1)} ${y(tokens).toFixed(1)}`).join("");
  const area = `${line(points)}L${x(last).toFixed(1)} ${y(0)}L${x(0)} ${y(0)}Z`;
  const node = svg(
    "svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": words(points, total, predicted) },
    ...ticks(most, 3).flatMap((value) => [
      svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, compact(value)),
    ]),
    ...ticks(end, 4).slice(1).map((value) =>
      svg("text", { x: x(value), y: HEIGHT - 8, "text-anchor": "middle" }, duration(value))),
  );
  if (predicted && total) node.append(svg("path", { class: "forecast", d: line(forecast(total, predicted)) }));
  node.append(svg("path", { class: "area", d: area }), svg("path", { class: "done", d: line(points) }));
  node.append(svg("circle", { class: "now", cx: x(last), cy: y(doneLast), r: 3.5 }));
  return node;
}

/** Later tokens take longer: seconds grow as n + n²·growth, scaled to the predicted end. */
function forecast(total, predicted) {
  const growth = 1.4e-6; // the deployment guide's, as ktclient.planning.prefill_time has it
  const effort = (n) => n + (growth * n * n) / 2;
  return Array.from({ length: 25 }, (_, at) => {
    const tokens = (total * at) / 24;
    return [tokens, (predicted * effort(tokens)) / effort(total)];
  });
}

function ticks(most, about) {
  const raw = most / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, at) => at * step);
}

function words(points, total, predicted) {
  const [tokens, seconds] = points[points.length - 1];
  const of = total ? ` of ${compact(total)}` : "";
  const forecastWords = predicted ? `; the forecast for all of it is ${duration(predicted)}` : "";
  return `Prefill: ${compact(tokens)}${of} tokens after ${duration(seconds)}${forecastWords}`;
}
