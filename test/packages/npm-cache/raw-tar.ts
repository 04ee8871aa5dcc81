import { Buffer } from "node:buffer";

/** An entry as it is to stand in an archive, whether that makes sense or not. */
export interface RawEntry {
  path: string;
  body?: string | Buffer;
  /** "0" is a file, "2" a symbolic link, "5" a folder, "x" a pax header. */
  type?: string;
  mode?: number;
  /** Another size than the body's. */
  size?: number;
  target?: string;
  /** Bytes 257 to 265. */
  magic?: string;
  prefix?: string;
  /** Changes the header when it is done but for its checksum. */
  edit?: (header: Buffer) => void;
  /** Is added to the checksum. */
  offSum?: number;
}

/** An archive of `entries`, in that order, with `end` after them. */
export function rawTar(entries: readonly RawEntry[], end: Buffer = Buffer.alloc(1024)): Buffer {
  return Buffer.concat([...entries.map(rawEntry), end]);
}

/** A record of a pax header, as an entry. */
export function pax(values: Record<string, string>, type = "x"): RawEntry {
  const records = Object.entries(values).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + String(rest).length;
    if (String(length).length !== String(rest).length) length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return { path: "PaxHeader", type, body: records.join("") };
}

function rawEntry({ path, body = "", type = "0", mode = 0o644, target = "", prefix = "", ...more }: RawEntry): Buffer {
  const bytes = Buffer.from(body);
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, digits: number) =>
    header.write(`${value.toString(8).padStart(digits, "0")}\0`, at, "latin1");
  header.write(path, 0, 100, "utf8");
  octal(mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(more.size ?? bytes.length, 124, 11);
  octal(0, 136, 11);
  header.write("        ", 148, "latin1");
  header.write(type, 156, "latin1");
  header.write(target, 157, 100, "utf8");
  header.write(more.magic ?? "ustar\x0000", 257, 8, "latin1");
  header.write(prefix, 345, 155, "utf8");
  more.edit?.(header);
  let sum = more.offSum ?? 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}
