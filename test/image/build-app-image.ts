import {
  type AppFile,
  type AppImage,
  type AppImageOptions,
  composeAppImage,
  packApp,
} from "../../src/image/app-image.ts";

/** Makes an app image of files, and gives it its name in the layout. */
export async function buildAppImage({
  files,
  ...options
}: Omit<AppImageOptions, "layer"> & { files: readonly AppFile[] }): Promise<AppImage> {
  const image = await composeAppImage({ ...options, layer: await packApp(files, options.layout) });
  await options.layout.tag(image.reference, image.descriptor);
  return image;
}
