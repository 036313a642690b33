/* Why a line to a server failed, and whether that may pass. */

import { codeOf, reason } from "./printable.js";

const CERTIFICATE = new RegExp(
  "^(CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERROR_IN_C|INVALID_CA|INVALID_PURPOSE"
    + "|PATH_LENGTH_|HOSTNAME_MISMATCH|ERR_TLS_CERT_)",
);
// What OpenSSL takes the first bytes of an answer without TLS for.
const NO_TLS = new Set([
  ...["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG", "ERR_SSL_HTTP_REQUEST"],
  ...["ERR_SSL_RECORD_LAYER_FAILURE", "ERR_SSL_BAD_RECORD_TYPE", "ERR_SSL_UNEXPECTED_MESSAGE"],
]);
const NO_TLS_WORDS = /wrong version number|packet length too long|record layer failure/;
const TLS = /^(ERR_SSL_|ERR_TLS_|EPROTO$)/;

/** Return why a line failed, in words; those of OpenSSL tell where in its sources it happened. */
export function lineReason(error: Error): string {
  const code = codeOf(error);
  if (code === "ENOTFOUND") return "there is no such host.";
  if (CERTIFICATE.test(code)) return `its certificate is not trusted: ${reason(error)} (${code}).`;
  if (NO_TLS.has(code) || (code === "EPROTO" && NO_TLS_WORDS.test(error.message))) {
    return "it does not speak TLS; perhaps its address begins with http://.";
  }
  if (TLS.test(code)) return `TLS could not be agreed on (${code}).`;
  return reason(error);
}

/** Return whether the same would happen in a second. */
export function staysBroken(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOTFOUND" || CERTIFICATE.test(code) || TLS.test(code);
}
