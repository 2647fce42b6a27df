// Search results have excerpts, for which Sphinx fetches the pages. From files browsers refuse that: the words come as scripts.
if (location.protocol === "file:") {
  window.fetch = (address) =>
    new Promise((found) => {
      const page = address.replace(document.documentElement.dataset.content_root, "").replace(/\.html$/, "");
      const script = document.createElement("script");
      script.src = `_static/words/${page}.js`;
      script.onload = () => found({ text: async () => window.said[page] });
      document.head.append(script);
    });
}
