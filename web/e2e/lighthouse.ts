/**
 * The score that Lighthouse gives for performance on a phone (its version 10 to 12), without the speed index, which takes a film of the
 * page: the other weights count for all. https://developer.chrome.com/docs/lighthouse/performance/performance-scoring
 */

export interface Measured {
  /** First and largest contentful paint, and how long the main thread was blocked, in milliseconds. */
  fcp: number;
  lcp: number;
  blocked: number;
  /** Cumulative layout shift. */
  shift: number;
}

/** What of all pages is worth 0.9 and 0.5, and how much it weighs. */
const CURVES: Record<keyof Measured, { good: number; median: number; weight: number }> = {
  fcp: { good: 1_800, median: 3_000, weight: 10 },
  lcp: { good: 2_500, median: 4_000, weight: 25 },
  blocked: { good: 200, median: 600, weight: 30 },
  shift: { good: 0.1, median: 0.25, weight: 25 },
};

/** Of 100. */
export function score(measured: Measured): number {
  const parts = Object.entries(CURVES).map(([name, curve]) => ({ ...curve, is: measured[name as keyof Measured] }));
  const all = parts.reduce((sum, { weight }) => sum + weight, 0);
  return (100 * parts.reduce((sum, { is, good, median, weight }) => sum + weight * share(is, good, median), 0)) / all;
}

/** Where a value stands on a log-normal curve that has 0.9 at `good` and 0.5 at `median`. */
function share(value: number, good: number, median: number): number {
  if (value <= 0) return 1;
  const INVERSE_ERFC_OF_ONE_FIFTH = 0.9061938024368232;
  const x = (Math.log(value / median) * INVERSE_ERFC_OF_ONE_FIFTH) / -Math.log(good / median);
  return (1 - erf(x)) / 2;
}

/** Abramowitz and Stegun, 7.1.26. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const y = 1 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
  return Math.sign(x) * y;
}
