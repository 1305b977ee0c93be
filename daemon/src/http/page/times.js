// Times and numbers as people read them.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** How far the daemon's clock is before the browser's, in milliseconds. */
let aheadMs = 0;

/** Says what the daemon's clock shows now: its times are compared with its own clock. */
export function setClock(text) {
  aheadMs = new Date(text).getTime() - Date.now();
}

/** How long ago that was, in seconds; never less than none. */
export function secondsSince(text) {
  return Math.max(0, (Date.now() + aheadMs - new Date(text).getTime()) / 1000);
}

/** `14:03:22`, with the day where that is not today's. */
export function moment(text) {
  const time = new Date(text);
  return time.toDateString() === new Date().toDateString() ? CLOCK.format(time) : DAY.format(time);
}

/** `just now`, `40 s ago`, `3 min ago`, `2 h ago`, `5 d ago`. */
export function ago(text) {
  const seconds = secondsSince(text);
  return seconds < 5 ? "just now" : `${length(seconds)} ago`;
}

/** `40 s`, `3 min`, `2 h`, `5 d`. */
export function length(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** How long something took or takes. */
export function between(from, to) {
  return length(Math.max(0, (new Date(to) - new Date(from)) / 1000));
}

/** `140 ms`, `2.4 s`. */
export function milliseconds(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
}

/** `7.5`, `0.33`, `12`. */
export function rate(value) {
  if (value === null) return "–";
  if (value >= 10) return value.toFixed(0);
  return value >= 1 || value === 0 ? value.toFixed(1) : value.toFixed(2);
}
