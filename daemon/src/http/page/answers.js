// The answer to a question, drawn on the frame that it is about.

import { h } from "./dom.js";
import { Overlay, regionMarks } from "./overlay.js";
import { milliseconds } from "./times.js";

/** What the parts of a score are called. */
const EVIDENCE = { location: "Place", label: "Name", contrast: "Against a blank picture", region: "Asked back", rival: "Best rival" };

export class AnswerView {
  element;
  #body = h("div", { class: "answer-body" }, h("p", { class: "muted" }, "Asking about the next frame…"));

  constructor(task, text) {
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close the answer", click: () => this.element.remove() }, "✕");
    const question = text ? `${task}: “${text}”` : task;
    this.element = h("section", { class: "answer", "aria-label": "Answer" },
      h("header", {}, h("h3", {}, question), close), this.#body);
  }

  /** The answer of the daemon, or why there is none. */
  show(answer) {
    this.element.dataset.state = answer.error ? "refused" : "answered";
    if (answer.error) {
      this.#body.replaceChildren(h("p", { class: "wrong" }, `No answer: ${answer.reason}.`));
      return;
    }
    const parts = answer.phrase ? phrase(answer.phrase, answer.input) : task(answer);
    const marks = answer.phrase ? phraseMarks(answer.phrase) : regionMarks(answer.regions);
    const took = Object.values(answer.timing_ms).reduce((sum, ms) => sum + ms, 0);
    const facts = h("p", { class: "muted small" }, `Frame ${answer.frame_id}, asked in ${milliseconds(took)}`);
    this.#body.replaceChildren(...picture(answer, marks), h("div", { class: "answer-text" }, ...parts, facts));
  }
}

function picture(answer, marks) {
  if (!answer.picture || marks.length === 0) return [];
  const overlay = new Overlay();
  overlay.draw([answer.width, answer.height], marks);
  const words = marks.map(({ label }) => label || "a region").join(", ");
  const image = h("img", { src: answer.picture, alt: `The frame, with ${words} marked`, width: answer.width, height: answer.height });
  return [h("div", { class: "picture" }, image, overlay.element)];
}

function phraseMarks({ regions }) {
  return regions.map((region) => ({ shape: region, label: region.label, score: region.score, kind: "alarm" }));
}

function phrase({ score, regions }, text) {
  const verdict = regions.length
    ? h("p", { class: "verdict" }, h("b", {}, score.toFixed(2)), ` is the score that an alert for “${text}” would have.`)
    : h("p", { class: "verdict" }, `Nothing was taken for “${text}”.`);
  const evidence = regions[0]?.evidence;
  if (!evidence) return [verdict];
  const rows = Object.entries(EVIDENCE)
    .filter(([part]) => typeof evidence[part] === "number")
    .map(([part, title]) => h("div", {}, h("dt", {}, title), h("dd", {}, hundredths(evidence[part]))));
  return [verdict, h("dl", { class: "evidence" }, rows)];
}

function task({ text, regions }) {
  // The text of tasks with regions is written with places in it, which are drawn.
  const words = regions.length ? [...new Set(regions.map(({ label }) => label))].filter(Boolean).join(", ") : text;
  return [h("p", { class: "verdict" }, words || "The model said nothing.")];
}

/** Without a sign before zero. */
function hundredths(number) {
  return number.toFixed(2).replace(/^-(0\.00)$/, "$1");
}
