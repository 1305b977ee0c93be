// Boxes, labels and zones over a picture. Lines are SVG and letters are HTML, so that both stay sharp at any size.

import { h } from "./dom.js";

const COLOURS = 6;

/** Draws over a picture whose frame is `size` = [width, height] in pixels. */
export class Overlay {
  element = h("div", { class: "overlay", "aria-hidden": "true" });
  #lines = h("svg", { preserveAspectRatio: "none" });
  #tags = h("div", { class: "tags" });

  constructor() {
    this.element.append(this.#lines, this.#tags);
  }

  /** Draws these in the place of those before. A mark: {shape: {box | quad | polygons}, label, score, kind}. */
  draw([width, height], marks, zones = []) {
    this.#lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const outline = (points, kind) => {
      const text = points.map((point) => point.join(",")).join(" ");
      return [
        h("polygon", { points: text, class: "shade" }),
        h("polygon", { points: text, class: `line ${kind}` }),
      ];
    };
    const zoneShapes = zones.map(({ polygon }) =>
      h("polygon", { points: polygon.map(([x, y]) => `${x * width},${y * height}`).join(" "), class: "zone" }),
    );
    const lines = marks.flatMap(({ shape, kind }) => outlines(shape).flatMap((points) => outline(points, kind)));
    this.#lines.replaceChildren(...zoneShapes, ...lines);
    const tags = marks.map(({ shape, label, score, kind }) => {
      const [left, top, right] = bounds(outlines(shape));
      return tag([left / width, top / height, right / width], `tag ${kind}`, label, score);
    });
    const names = zones.map(({ name, polygon }) => tag(highest(polygon), "tag zone-name", name));
    this.#tags.replaceChildren(...names, ...tags);
  }
}

/** What is to be drawn of a sight: the phrases that count, and what tasks found beside them. */
export function marksOf(sight) {
  const phrases = sight.phrases.flatMap(({ phrase, min_score, regions }) =>
    regions
      .filter((region) => region.score >= min_score)
      .map((region) => ({ shape: region, label: phrase, score: region.score, kind: "alarm" })),
  );
  const found = sight.results.flatMap((result) => regionMarks(result.regions));
  // What a phrase marks already is not marked twice.
  const isNew = ({ shape }) => !shape.box || !phrases.some((phrase) => overlap(shape.box, phrase.shape.box) > 0.6);
  return [...found.filter(isNew), ...phrases];
}

/** The regions of an answer. */
export function regionMarks(regions) {
  return regions.map((region) => ({ shape: region, label: region.label, score: region.score, kind: colourOf(region.label) }));
}

/** What a picture shows, in words. */
export function wordsOf(marks) {
  return marks.map(({ label, score }) => (score === undefined ? label : `${label} ${score.toFixed(2)}`)).join(", ");
}

function tag([left, top, right = left], kind, label, score) {
  const element = h("span", { class: kind }, h("b", {}, label || "·"));
  if (score !== undefined && score !== null) element.append(h("i", {}, score.toFixed(2)));
  const percent = (part) => `${Math.min(Math.max(part, 0), 1) * 100}%`;
  // Above its box, or inside it at the upper edge of the picture; from the side of the box that leaves more room.
  element.style.top = percent(top);
  if (top < 0.07) element.classList.add("below");
  if (left > 0.6) {
    element.classList.add("leftwards");
    element.style.right = percent(1 - right);
  } else {
    element.style.left = percent(left);
  }
  return element;
}

/** The same label has the same colour everywhere. */
function colourOf(label) {
  let hash = 7;
  for (const letter of label) hash = (hash * 31 + letter.codePointAt(0)) % 9973;
  return `colour-${hash % COLOURS}`;
}

function outlines({ box, quad, polygons }) {
  if (box) {
    const [x1, y1, x2, y2] = box;
    return [[[x1, y1], [x2, y1], [x2, y2], [x1, y2]]];
  }
  const pairs = (numbers) => Array.from({ length: numbers.length / 2 }, (_, i) => [numbers[2 * i], numbers[2 * i + 1]]);
  if (quad) return [pairs(quad)];
  return (polygons ?? []).map(pairs);
}

/** x1, y1, x2, y2 around everything. */
function bounds(outlines) {
  const [xs, ys] = [0, 1].map((axis) => outlines.flat().map((point) => point[axis]));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** How much of what two boxes cover both of them cover, from 0 to 1. */
function overlap([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) {
  const both = Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1)) * Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1));
  const either = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - both;
  return either > 0 ? both / either : 0;
}

/** The highest corner of a zone; below it is the zone. */
function highest(polygon) {
  return polygon.reduce((best, point) => (point[1] < best[1] ? point : best));
}
