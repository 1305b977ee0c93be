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
    const first = STEPS - this.#values.length;
    let line = "";
    let area = "";
    let start = null;
    this.#values.forEach((value, index) => {
      const x = first + index;
      if (value === null) {
        if (start !== null) area += `L${x - 1},${HEIGHT}Z`;
        start = null;
        return;
      }
      const y = (HEIGHT - 1 - (value / top) * (HEIGHT - 2)).toFixed(2);
      line += `${start === null ? "M" : "L"}${x},${y}`;
      area += `${start === null ? `M${x},${HEIGHT}L` : "L"}${x},${y}`;
      start ??= x;
    });
    if (start !== null) area += `L${WIDTH},${HEIGHT}Z`;
    setAttribute(this.#line, "d", line);
    setAttribute(this.#area, "d", area);
    setText(this.#now, this.#format(now));
    const highest = known.length ? this.#format(Math.max(...known)) : "–";
    setText(this.#top, known.some((value) => value > 0) ? `max ${highest}` : "");
    setAttribute(this.#picture, "aria-label",
      `${this.#title} over the last five minutes: now ${this.#format(now)}, highest ${highest}`);
  }
}
