// Numbers of things in words, and numbers that people type.
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
// Digits, with a point or a comma before decimals; NaN for all else. "1,000" is NaN too: some
// write a thousand so, others one.
export const numberOf = (text) => (/^-?(?:\d+|\d*\.\d+|\d*,(?!\d{3}$)\d+)$/.test(text.trim()) ? Number(text.trim().replace(",", ".")) : NaN);
// Digits alone.
export const wholeOf = (text) => (/^\d+$/.test(text.trim()) ? Number(text.trim()) : NaN);
