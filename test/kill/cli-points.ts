/** The named points at which the command is killed: moments of its exchanges with the platform, and lines that it prints. */
import { type EndpointName, endpoints } from "../../src/contract/endpoints.ts";
import type { Exchange, Moment } from "./command-proxy.ts";

/** Kills at this moment of the first exchange that matches. */
export interface ExchangePoint {
  moment: Moment;
  is(exchange: Exchange): boolean;
}

const on = (moment: Moment, name: EndpointName, body = /(?:)/): ExchangePoint => {
  const { method, path } = endpoints[name];
  const pattern = new RegExp(`^${path.replace(/\{\w+\}/g, "[^/?]+")}(?:\\?|$)`);
  return {
    moment,
    is: (exchange) => exchange.method === method && pattern.test(exchange.path) && body.test(exchange.body ?? ""),
  };
};

/** The same for a request of the OCI distribution protocol, by which the image is sent. */
const sending = (moment: Moment, method: string, part: RegExp): ExchangePoint => ({
  moment,
  is: (exchange) => exchange.method === method && exchange.path.startsWith("/v2/") && part.test(exchange.path),
});

const BLOB = /\/blobs\/sha256:/;
const UPLOAD = /\/blobs\/uploads\//;
const MANIFEST = /\/manifests\//;

/** By name, in their order. */
export const exchangePoints: Record<string, ExchangePoint> = {
  "it asks what is missing": on("asked", "checkApp"),
  "it knows that nothing does": on("answered", "checkApp"),
  "it knows whether the image is there": sending("answered", "HEAD", MANIFEST),
  "it asks whether a blob is there": sending("asked", "HEAD", BLOB),
  "it knows whether a blob is there": sending("answered", "HEAD", BLOB),
  "it is about to send a blob": sending("asked", "POST", UPLOAD),
  "it has sent half of a blob": sending("halfway", "POST", UPLOAD),
  "its blob is stored, and it does not know": sending("answered", "POST", UPLOAD),
  "it is about to name the image": sending("asked", "PUT", MANIFEST),
  "it has sent half of the manifest": sending("halfway", "PUT", MANIFEST),
  "the image is named, and it does not know": sending("answered", "PUT", MANIFEST),
  "it is about to apply": on("asked", "applyApp"),
  "it has sent half of what it wants": on("halfway", "applyApp"),
  "the deploy is accepted, and it does not know": on("answered", "applyApp"),
  "it asks for the first events": on("asked", "deploymentEvents"),
  "it has the first events": on("answered", "deploymentEvents"),
  "the verdict is there, and it does not know": on("answered", "deploymentEvents", /"succeeded"/),
};

/** Lines after which it is killed. */
export const linePoints = [
  "Skip building",
  "Deploying Application",
  "TrafficNotMigrated",
  "IngressNotConfigured",
  "Uninitialized",
  "Started: Service is ready",
];

/** From this one on the platform has the deploy, whatever becomes of the command. */
export const ACCEPTED_FROM = "the deploy is accepted, and it does not know";
