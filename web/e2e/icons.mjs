/** Draws the icons that are no vectors from the one that is: `node e2e/icons.mjs`. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { chromium } from 'playwright-core';

const PUBLIC = resolve(import.meta.dirname, '../public');
const svg = readFileSync(`${PUBLIC}/icon.svg`, 'utf8');
// A mask may cut away a fifth at each side, so the ground goes to the edge and the drawing stays in the middle.
const whole = svg.replace(' rx="7"', '').replace('viewBox="0 0 32 32"', 'viewBox="-4 -4 40 40"').replace('<rect width="32" height="32"', '<rect x="-4" y="-4" width="40" height="40"');

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage();
for (const [name, size, drawing] of [['icon-192', 192, svg], ['icon-512', 512, svg], ['icon-maskable', 512, whole], ['apple-touch-icon', 180, svg.replace(' rx="7"', '')]]) {
  await page.setViewportSize({ width: size, height: size });
  await page.setContent(`<body style="margin:0;background:none">${drawing.replace('<svg', `<svg width="${size}" height="${size}" style="display:block"`)}`);
  await page.screenshot({ path: `${PUBLIC}/${name}.png`, omitBackground: true });
}
await browser.close();
