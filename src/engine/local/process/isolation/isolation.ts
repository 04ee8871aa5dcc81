/** Who replicas run as and where their content lies: what the kernel lets an app see of its neighbours and of the platform. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { AppRef } from "../../../../contract/types.ts";

/** A user of the system that an app runs as. */
export interface AppUser {
  uid: number;
  gid: number;
}

/** Where an app's content is unpacked to. Both directories exist. */
export interface ContentPlaces {
  /** For the app layers. */
  contentDir: string;
  /** For the packages layers, which apps share. */
  layersDir: string;
}

/** How apps are kept apart. */
export interface Isolation {
  /** In words, for `platform status`. */
  readonly words: string;
  /** True when apps have users of their own. */
  readonly ownUsers: boolean;
  /** Path of a Node binary that every app can execute. */
  readonly node: string;
  /** The user that the app runs as; undefined: the platform's own. */
  userOf(ref: AppRef): AppUser | undefined;
  placesOf(ref: AppRef): ContentPlaces;
  /** Removes what is kept for an app that was deleted. */
  forget(ref: AppRef): Promise<void>;
}

/** Every app runs as the platform's own user, with its content below `stateDir`. `why` says what is missing of more. */
export function sameUser(stateDir: string, node: string, why: string): Isolation {
  const contentDir = join(stateDir, "content");
  const layersDir = join(contentDir, "layers");
  return {
    words: `the platform's user for every app (${why}), Node's permission model for frameworkApps`,
    ownUsers: false,
    node,
    userOf: () => undefined,
    placesOf: () => {
      mkdirSync(layersDir, { recursive: true, mode: 0o711 });
      return { contentDir, layersDir };
    },
    forget: async () => undefined,
  };
}
