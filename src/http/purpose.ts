/** What a request is about, in words for a person. */
export interface RequestPurpose {
  /** Host that is asked. */
  host: string;
  /** The image or the content: `ghcr.io/org/name:tag`. */
  subject: string;
  /** `asked for`, `sent`: what was being done with the subject. */
  action: string;
}
