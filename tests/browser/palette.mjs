// Makes the picture of a flat page small: 256 colours are enough for it, so a point needs one octet instead of three.

import { deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const MOST = 256;

/** The same PNG with a palette. Takes what browsers make: eight bits, in colour, not interlaced. */
export function reduced(png) {
  const { width, height, points } = decoded(png);
  const counts = new Map();
  points.forEach((point) => counts.set(point, (counts.get(point) ?? 0) + 1));
  const palette = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one)).slice(0, MOST);
  const places = new Map(palette.map((point, place) => [point, place]));
  const placeOf = (point) => {
    if (!places.has(point)) {
      places.set(point, palette.reduce((best, other, place) => (distance(point, other) < distance(point, palette[best]) ? place : best), 0));
    }
    return places.get(point);
  };
  const lines = Buffer.alloc((width + 1) * height);
  points.forEach((point, at) => { lines[at + Math.floor(at / width) + 1] = placeOf(point); });
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.from(palette.flatMap((point) => [point >> 16, (point >> 8) & 255, point & 255]));
  return Buffer.concat([SIGNATURE, chunk('IHDR', head), chunk('PLTE', colours), chunk('IDAT', deflateSync(lines, { level: 9 })), chunk('IEND', Buffer.alloc(0))]);
}

function distance(one, other) {
  return [16, 8, 0].reduce((sum, shift) => sum + (((one >> shift) & 255) - ((other >> shift) & 255)) ** 2, 0);
}

function decoded(png) {
  const parts = [];
  for (let at = SIGNATURE.length; at < png.length; at += png.readUInt32BE(at) + 12) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') {
      parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
    }
  }
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const size = png[25] === 6 ? 4 : 3;
  const packed = inflateSync(Buffer.concat(parts));
  const span = width * size;
  const octets = Buffer.alloc(span * height);
  for (let line = 0; line < height; line += 1) {
    const filter = packed[line * (span + 1)];
    for (let x = 0; x < span; x += 1) {
      const at = line * span + x;
      const left = x < size ? 0 : octets[at - size];
      const above = line ? octets[at - span] : 0;
      const corner = x < size || !line ? 0 : octets[at - span - size];
      octets[at] = packed[line * (span + 1) + 1 + x] + [0, left, above, (left + above) >> 1, nearest(left, above, corner)][filter];
    }
  }
  const points = Array.from({ length: width * height }, (_, at) => octets.readUIntBE(at * size, 3));
  return { width, height, points };
}

/** The predictor of Paeth, as PNG has it. */
function nearest(left, above, corner) {
  const [a, b, c] = [Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

function chunk(kind, data) {
  const named = Buffer.concat([Buffer.from(kind, 'latin1'), data]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(data.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(checksum(named), named.length + 4);
  return framed;
}

function checksum(octets) {
  let sum = 0xffffffff;
  for (const octet of octets) {
    sum ^= octet;
    for (let bit = 0; bit < 8; bit += 1) {
      sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
    }
  }
  return (sum ^ 0xffffffff) >>> 0;
}
