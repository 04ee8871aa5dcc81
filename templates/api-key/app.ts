import { createHash, timingSafeEqual } from "node:crypto";
import { App, ImageSpec, Remote, Resources, Secret } from "appctl";
import { Hono } from "hono";
import { createMiddleware } from "hono/factory";

// The environment that the app runs in. What is listed here is installed into a layer of its own, with these versions.
const image = new ImageSpec({
  name: "api-key-auth-image",
  packages: ["hono@4.13.19"],
});

const app = new Hono();

export const apiKeyAuth = new App({
  name: "api-key-auth",
  secrets: [
    new Secret({ key: "AUTH_API_KEY", envVar: "AUTH_API_KEY" }),
    new Secret({ key: "MY_APPCTL_API_KEY", envVar: "APPCTL_API_KEY" }),
  ],
  containerImage: image,
  frameworkApp: app,
  limits: new Resources({ cpu: "1", mem: "1Gi" }),
  port: 8082,
  requiresAuth: false,
});

const sha256 = (text: string) => createHash("sha256").update(text).digest();

/** Lets a request pass only with `Authorization: Bearer <AUTH_API_KEY>`. Digests are compared, in constant time. */
const verifyToken = createMiddleware(async (c, next) => {
  const expected = process.env["AUTH_API_KEY"];
  if (!expected) return c.json({ detail: "AUTH_API_KEY is not set: this app refuses to serve" }, 503);

  const token = c.req.header("authorization")?.match(/^Bearer +(.+)$/i)?.[1];
  if (!token) return c.json({ detail: "Not authenticated" }, 401, { "WWW-Authenticate": "Bearer" });
  if (!timingSafeEqual(sha256(token), sha256(expected))) {
    return c.json({ detail: "Could not validate credentials" }, 403);
  }
  return next();
});

app.get("/", verifyToken, (c) => c.json({ message: "Hello, World!" }));

// The platform, seen from inside the app: the key is the secret MY_APPCTL_API_KEY, which arrives as APPCTL_API_KEY.
app.get("/apps", verifyToken, async (c) => {
  const apps = await new Remote().apps.list();
  return c.json({ apps: apps.map(({ name, status, endpoint }) => ({ name, status, endpoint })) });
});
