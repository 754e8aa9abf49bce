// Files that the bundler emits as they are; the import is their address.
declare module '*?url' {
  const url: string;
  export default url;
}
