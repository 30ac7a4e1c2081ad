// Numbers of things in words.
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
