/* What a call gives back. */

/** Where the subject is in the cut-out, in its pixels. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly width: number;
  readonly height: number;
}

/** What the server tells about a cut-out. */
export interface CutOutInfo {
  /** In pixels, like the height. */
  readonly width: number | null;
  readonly height: number | null;
  /** For instance "image/webp". */
  readonly mediaType: string;
  /** False: nothing was found, the picture is transparent, and nothing was charged. */
  readonly foregroundDetected: boolean | null;
  readonly foregroundBox: Box | null;
  readonly model: string | null;
  /** 0 or 1; 0 for the repeated answer to a request that was charged before. */
  readonly creditsCharged: number | null;
  /** "included", "prepaid" or "anonymous". */
  readonly creditsSource: string | null;
  /** What the server calls this request in its log. */
  readonly requestId: string | null;
  /** True: the answer to an earlier attempt with the same idempotency key, once more. */
  readonly replayed: boolean;
}

/** A cut-out in a temporary file. */
export interface FileCutOut {
  outputImagePath: string;
  /** Delete the file; when it is gone already, do nothing. */
  cleanup: () => Promise<void>;
  info: CutOutInfo;
  base64Image?: undefined;
}

/** A cut-out as a data URL. */
export interface Base64CutOut {
  base64Image: string;
  info: CutOutInfo;
  outputImagePath?: undefined;
  cleanup?: undefined;
}
