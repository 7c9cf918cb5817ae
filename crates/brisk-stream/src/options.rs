//! Options of programs that use streams.

brisk_base::options! {
    /// Files that functions find by name, `name:<name>,path:<path>` each, separated by `;`.
    pub CACHED_FILES: Option<String> = "pipeline.cached-files", None;
}
