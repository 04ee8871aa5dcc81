/** A stream that text is written to. `columns` is its width where it is a terminal. */
export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** A stream that bytes are read from; a terminal when it has `setRawMode`. */
export interface Input extends NodeJS.ReadableStream {
  isTTY?: boolean;
  setRawMode?(mode: boolean): unknown;
  unshift(chunk: Uint8Array): void;
}
