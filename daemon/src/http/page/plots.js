// Small plots of the last minutes.

import { h, setAttribute, setText } from "./dom.js";

const STEPS = 150;
const [WIDTH, HEIGHT] = [STEPS - 1, 30];

/** A line over the last five minutes, with what is so now in letters beside it. */
export class Plot {
  #title;
  #format;
  #floor;
  #values = [];
  #area = h("path", { class: "area" });
  #line = h("path", { class: "line" });
  #now = h("span", { class: "plot-now" });
  #top = h("span", { class: "plot-top" });
  #picture;
  element;

  /** `floor`: the least value that the top of the plot stands for. */
  constructor(title, format, floor) {
    [this.#title, this.#format, this.#floor] = [title, format, floor];
    this.#picture = h("div", { class: "plot-picture", role: "img" },
      h("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" }, this.#area, this.#line), this.#top);
    this.element = h("div", { class: "plot" },
      h("div", { class: "plot-head" }, h("span", { class: "plot-title" }, title), this.#now), this.#picture);
  }

  /** All values, the oldest first; null where there is none. */
  set(values) {
    this.#values = values.slice(-STEPS);
  }

  /** One more. */
  push(value) {
    this.#values.push(value);
    if (this.#values.length > STEPS) this.#values.shift();
  }

  /** Draws, with `now` in letters. */
  draw(now) {
    const known = this.#values.filter((value) => value !== null);
    const top = Math.max(this.#floor, ...known) * 1.1;
    const height = (value) => (HEIGHT - 1 - (value / top) * (HEIGHT - 2)).toFixed(2);
    const pieces = runs(this.#values).map(([begin, values]) => {
      const x = STEPS - this.#values.length + begin;
      // One value alone is a line as long as its step.
      if (values.length === 1) return [[x - 0.5, height(values[0])], [x + 0.5, height(values[0])]];
      return values.map((value, index) => [x + index, height(value)]);
    });
    const path = (points) => `M${points.join("L")}`;
    setAttribute(this.#line, "d", pieces.map(path).join(""));
    setAttribute(this.#area, "d",
      pieces.map((points) => `${path([[points[0][0], HEIGHT], ...points, [points.at(-1)[0], HEIGHT]])}Z`).join(""));
    setText(this.#now, this.#format(now));
    const highest = known.length ? this.#format(Math.max(...known)) : "–";
    setText(this.#top, known.some((value) => value > 0) ? `max ${highest}` : "");
    setAttribute(this.#picture, "aria-label",
      `${this.#title} over the last five minutes: now ${this.#format(now)}, highest ${highest}`);
  }
}

/** The values between two that are missing, each with the place of its first. */
function runs(values) {
  const found = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index > 0 && values[index - 1] !== null) found.at(-1)[1].push(value);
    else found.push([index, [value]]);
  });
  return found;
}
