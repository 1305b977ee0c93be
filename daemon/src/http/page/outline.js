// Whether corners make a zone. `belvedere check` asks the same of the lines that the page gives.

const MAX_CORNERS = 200;
/** What is nearer to an edge is on it. */
const ON_EDGE = 1e-9;

/** Why `points`, in fractions of the picture, are no zone, in words; null where they are one. */
export function wrongWith(points) {
  const count = points.length;
  if (count < 3) return "a zone has at least three";
  if (count > MAX_CORNERS) return `a zone has at most ${MAX_CORNERS}`;
  const edges = points.map((point, index) => [point, points[(index + 1) % count]]);
  if (edges.some(([from, to]) => distance(from, to) <= ON_EDGE)) return "two that follow each other are in the same place";
  for (let first = 0; first < count; first += 1) {
    for (let second = first + 1; second < count; second += 1) {
      const [one, other] = [edges[first], edges[second]];
      let meet;
      if (second === first + 1) meet = foldsBack(one[0], one[1], other[1]);
      else if (first === 0 && second === count - 1) meet = foldsBack(other[0], other[1], one[1]);
      else meet = touch(one, other);
      if (meet) return "the outline of a zone does not cross or touch itself";
    }
  }
  return null;
}

function distance([x1, y1], [x2, y2]) {
  return Math.hypot(x1 - x2, y1 - y2);
}

function distanceToEdge([x, y], from, to) {
  const along = [to[0] - from[0], to[1] - from[1]];
  const part = ((x - from[0]) * along[0] + (y - from[1]) * along[1]) / (along[0] ** 2 + along[1] ** 2);
  const within = Math.min(1, Math.max(0, part));
  return distance([x, y], [from[0] + within * along[0], from[1] + within * along[1]]);
}

/** Whether the way `from`, `corner`, `to` returns along itself. */
function foldsBack(from, corner, to) {
  return distanceToEdge(to, from, corner) <= ON_EDGE || distanceToEdge(from, corner, to) <= ON_EDGE;
}

/** Whether two edges without a common corner have a point in common. */
function touch([a, b], [c, d]) {
  const turn = (from, to, point) => (to[0] - from[0]) * (point[1] - from[1]) - (to[1] - from[1]) * (point[0] - from[0]);
  const crosses = turn(a, b, c) > 0 !== turn(a, b, d) > 0 && turn(c, d, a) > 0 !== turn(c, d, b) > 0;
  const ends = [[a, c, d], [b, c, d], [c, a, b], [d, a, b]];
  return crosses || ends.some(([point, from, to]) => distanceToEdge(point, from, to) <= ON_EDGE);
}
