/** @import { Lane, Sample } from "./lane.js" */
/** @import { Box } from "./marks.js" */
/** @import { Placed, View } from "./view.js" */

import { STUCK_MS } from "./lane-model.js";
import { hatch } from "./marks.js";

// Shorter delays are a matter of the timer.
const LATE_MS = 30;

/** The ground of a lane: its seconds, and in gray how much the thread had to do. @param {View} view @param {Placed} placed */
export function drawLoad(view, placed) {
  drawGround(view, placed);
  if (placed.lane.pool === "main") drawLoop(view, placed);
  else if (placed.lane.pool === "journal") drawCommits(view, placed);
  else drawSteps(view, placed);
}

/** @param {View} view @param {Placed} placed */
function drawGround({ context, left, right, colors, x, edge, span }, { top, height }) {
  context.fillStyle = colors.lane;
  context.fillRect(left, top, right - left, height);
  context.fillStyle = colors.line;
  const every = span / 10;
  for (let at = Math.ceil((edge - span) / every) * every; at <= edge; at += every) context.fillRect(Math.round(x(at)), top, 1, height);
}

/** How busy the main thread is, and where a timer was late. @param {View} view @param {Placed} placed */
function drawLoop(view, { lane, top, height }) {
  const { x, colors } = view;
  eachSample(lane, (sample, from) => {
    const tall = Math.max(1, sample.level * (height - 2));
    drawMark(view, colors.faint, { left: x(from), right: x(sample.at) + 0.5, top: top + height - tall, bottom: top + height });
  });
  eachSample(lane, (sample, from) => {
    if (sample.other < LATE_MS) return;
    drawMark(view, colors.warn, { left: x(from), right: x(sample.at), top, bottom: top + Math.min(height, 2 + sample.other / 20) });
  });
}

/** A bar a tick: how many requests its commits made durable. @param {View} view @param {Placed} placed */
function drawCommits(view, { lane, top, height }) {
  const { x, colors } = view;
  eachSample(lane, (sample, from) => {
    if (sample.other === 0) return;
    const tall = Math.min(height - 2, 3 + Math.log2(1 + sample.other) * 1.9);
    const left = x(from) + 1;
    drawMark(view, colors.faint, { left, right: Math.max(left + 1, x(sample.at) - 1), top: top + height - tall, bottom: top + height });
  });
}

/** A mark that no caption shall lie on. A line along the lane's edge, which an idle thread has, hides nothing. @param {View} view @param {string} color @param {Box} box */
function drawMark({ context, bars }, color, box) {
  context.fillStyle = color;
  context.fillRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  if (box.bottom - box.top > 1) bars.push(box);
}

/** How many steps the thread carried, drawn as bars or not; and when its heartbeat was missing. @param {View} view @param {Placed} placed */
function drawSteps(view, { lane, top, height }) {
  const { context, x, colors } = view;
  eachSample(lane, (sample, from) => {
    const left = x(from);
    const wide = x(sample.at) - left + 0.5;
    if (sample.other > STUCK_MS)
      drawStuck(view, lane, { from: sample.at - sample.other, to: sample.at, top: top + 4, bottom: top + height - 4 });
    if (sample.level === 0) return;
    // Below the bar of its one step, which begins and ends between two samples.
    const share = lane.pool === "exclusive" ? 0.16 : Math.min(1, Math.log2(1 + sample.level) / 10);
    context.globalAlpha = 0.55;
    context.fillStyle = colors.faint;
    context.fillRect(left, top + height - share * height, wide, share * height);
    context.globalAlpha = 1;
  });
}

/**
 * A thread that did not return to its event loop. Where a step computes for so long, its bar says so. What remains is a thread that ignores
 * its cancel.
 *
 * @param {View} view
 * @param {Lane} lane
 * @param {{ from: number, to: number, top: number, bottom: number }} when
 */
function drawStuck({ context, x, colors, bars }, lane, { from, to, top, bottom }) {
  const since = Math.max(from, ...(lane.pool === "exclusive" ? (lane.packed[0]?.map((bar) => bar.to) ?? []) : []));
  if (since >= to) return;
  const [left, right] = [x(since), x(to)];
  context.fillStyle = colors.soft;
  context.fillRect(left, top, right - left, bottom - top);
  hatch(context, left, top, right - left, bottom - top, colors.lane);
  bars.push({ left, right, top, bottom });
}

/**
 * @param {Lane} lane
 * @param {(sample: Sample, from: number) => void} draw
 */
function eachSample({ samples }, draw) {
  for (const [index, sample] of samples.entries()) {
    const before = samples[index - 1]?.at;
    // After a gap nothing is known of the time before.
    draw(sample, before === undefined || sample.at - before > 1_500 ? sample.at - 250 : before);
  }
}
