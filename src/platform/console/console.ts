import { type Context, Hono } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { appStatus } from "../api/apps.ts";
import type { Services } from "../api/context.ts";
import { CONTENT_SECURITY_POLICY, type Html } from "./page-layout.ts";
import { appPage, appsPage, notFoundPage, signInPage } from "./pages.ts";

/**
 * The console: read-only pages, rendered here, behind sign-in with an API key or with the one-time link that
 * `appctl open` prints. They run no script of an app, and a page of another origin can neither frame it nor post to it.
 */
export function createConsole(services: Services): Hono {
  const app = new Hono();
  const cookie = cookieName(services.addresses.url);
  const cookieOptions = {
    path: "/console",
    httpOnly: true,
    sameSite: "Lax",
    secure: services.addresses.url.startsWith("https:"),
  } as const;
  const signedIn = (c: Context) => services.sessions.keyOf(getCookie(c, cookie) ?? "") !== undefined;
  const signIn = (c: Context, key: string, next: string) => {
    const { token, maxAgeSeconds } = services.sessions.open(key);
    setCookie(c, cookie, token, { ...cookieOptions, maxAge: maxAgeSeconds });
    return c.redirect(next, 303);
  };

  app.use("/console/*", async (c, next) => {
    c.header("content-security-policy", CONTENT_SECURITY_POLICY);
    // Not "no-referrer": browsers then send `Origin: null` with our own forms.
    c.header("referrer-policy", "same-origin");
    c.header("x-content-type-options", "nosniff");
    c.header("cache-control", "no-store");
    const origin = c.req.header("origin");
    if (c.req.method === "POST" && origin !== undefined && origin !== services.addresses.url) {
      return c.text("requests from pages of other origins are refused", 403);
    }
    const open = c.req.path === "/console/sign-in";
    if (!open && !signedIn(c)) return c.redirect(`/console/sign-in?next=${encodeURIComponent(c.req.path)}`, 303);
    return next();
  });

  app.get("/console/sign-in", (c) => {
    const token = c.req.query("token");
    if (token === undefined) return c.html(signInPage(safeNext(c.req.query("next"))));
    const link = services.sessions.redeemLink(token);
    if (link) return signIn(c, link.key, safeNext(link.path));
    return c.html(
      signInPage("/console", "This link was used already, or is too old. Make a new one: appctl open"),
      401,
    );
  });
  app.post("/console/sign-in", async (c) => {
    const form = await c.req.parseBody().catch(() => undefined);
    if (form === undefined) return c.html(signInPage("/console", "That form could not be read."), 400);
    const next = safeNext(typeof form["next"] === "string" ? form["next"] : undefined);
    const principal = services.keys.verifyKey(typeof form["key"] === "string" ? form["key"].trim() : "");
    if (principal) return signIn(c, principal.id, next);
    return c.html(signInPage(next, "That is not a valid API key of this platform."), 401);
  });
  app.post("/console/sign-out", (c) => {
    services.sessions.close(getCookie(c, cookie) ?? "");
    deleteCookie(c, cookie, cookieOptions);
    return c.redirect("/console/sign-in", 303);
  });

  app.get("/console", (c) => listPage(c, { project: "default", domain: "development" }));
  app.get("/console/projects/:project/domains/:domain/apps", (c) => listPage(c, c.req.param()));
  app.get("/console/projects/:project/domains/:domain/apps/:name", (c) => {
    const record = services.store.find(c.req.param());
    if (!record || record.deleting)
      return missing(c, `There is no app ${c.req.param("name")} in this project and domain.`);
    const latest = services.store.latestDeployment(record.id);
    const events = latest ? services.store.events(record.id, latest.id, 0) : [];
    return answer(c, appPage(appStatus(services, record), events));
  });
  app.all("/console/*", (c) => missing(c, "There is no such page."));

  const listPage = (c: Context, scope: { project: string; domain: string }) => {
    const apps = services.store.list(scope).filter((record) => !record.deleting);
    return answer(
      c,
      appsPage(
        scope,
        apps.map((record) => appStatus(services, record)),
      ),
    );
  };
  return app;
}

function answer(c: Context, body: Html, status: 200 | 404 = 200) {
  return c.html(body, status);
}

function missing(c: Context, message: string) {
  return answer(c, notFoundPage(message), 404);
}

/** Cookies do not tell ports apart, so the port is in the name: platforms side by side keep their own sessions. */
function cookieName(url: string): string {
  return `appctl-session-${new URL(url).port || "default"}`;
}

/** Only a path of the console: nobody is led elsewhere after signing in. */
function safeNext(next: string | undefined): string {
  return next !== undefined && /^\/console(?:\/[\w.%/-]*)?$/.test(next) && !next.startsWith("/console/sign-")
    ? next
    : "/console";
}
