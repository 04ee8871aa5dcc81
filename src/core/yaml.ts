/** The part of yaml that reads. A file of its own, loaded when there is a configuration file: it takes its time. */
export { parse } from "yaml";
