/** A Content-Length that the gateway takes: at most 15 digits, which a number holds exactly. */
export const CONTENT_LENGTH = /^[0-9]{1,15}$/;
