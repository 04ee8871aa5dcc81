/**
 * The base of images that name none. Debian with Node, a shell and apt: everything that an App and an ImageSpec can say works
 * on it, and every version of Node has a tag of it. Smaller ones (distroless) have no shell, which `command` needs.
 */
export const DEFAULT_BASE_IMAGE = "node:{nodeVersion}-slim";
/** The version of Node that apps get in containers unless they say another: the newest line with long-term support. */
export const DEFAULT_NODE_VERSION = "24";
/** Where the version of Node goes in the name of a configured base. */
export const NODE_VERSION_PLACE = "{nodeVersion}";
