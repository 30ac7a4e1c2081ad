// Numbers of things in words, and numbers that people type.
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
// Digits, with a point or a comma before decimals; NaN for all else.
export const numberOf = (text) => (/^-?\d+(?:[.,]\d+)?$/.test(text.trim()) ? Number(text.trim().replace(",", ".")) : NaN);
