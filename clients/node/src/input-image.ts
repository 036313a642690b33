/* What may be given as the picture. */

/**
 * A path, an http(s) address, bytes, base64, a Blob or File, or a stream of bytes.
 *
 * What can be read only once goes to a temporary file first, 50 MB at most.
 */
export type InputImage =
  | string
  | URL
  | Uint8Array
  | ArrayBufferLike
  | ArrayBufferView
  | { base64: string }
  | BlobLike
  | WebStreamLike
  | AsyncIterable<Uint8Array>;

/** A Blob or a File, Node's or anybody's. */
export type BlobLike =
  | { readonly size: number; stream(): unknown }
  | { readonly size: number; arrayBuffer(): Promise<ArrayBufferLike> };

/** A ReadableStream of the web's, likewise. */
export interface WebStreamLike {
  readonly locked: boolean;
  getReader(): unknown;
  cancel(reason?: unknown): Promise<void>;
}
