import CommandSupport

/// The options that every command takes, before its name or after it.
enum GlobalOptions {
  static let table = storeTable.adding(styleTable).adding(OptionTable([version]))

  /// Which store, and what this process may take.
  static let storeTable = OptionTable([
    .init("store", value: "DIR", help: "The store (else $PFS_STORE, 'path' in the configuration, the user's own)."),
    .init("config", value: "FILE", help: "The configuration file (else $PFS_CONFIG, ./config.yaml, the user's own)."),
    .init("memory", value: "SIZE", help: "The most memory this process takes for parts (default 256MiB)."),
    .init("workers", value: "N", help: "How many threads hash and compress (default: as many as processors)."),
    .init("lock-timeout", value: "DURATION", help: "How long to wait for a file that is in use (default 10s)."),
  ])

  /// What it says; these go inside the shell too.
  static let styleTable = OptionTable([
    .init("json", help: "Write results as JSON, one object a line."),
    .init("quiet", short: "q", help: "Say nothing but results and errors."),
    .init("verbose", short: "v", help: "Say more."),
    .init("no-progress", help: "Show no progress bar."),
    .init("help", short: "h", help: "Show help and exit."),
  ])

  private static let version = OptionTable.Option("version", help: "Show the version and exit.")
}

extension OutputStyle {
  /// This style with what the options add.
  func adding(_ options: ParsedOptions) -> OutputStyle {
    OutputStyle(
      isJSON: isJSON || options.contains("json"), isQuiet: isQuiet || options.contains("quiet"),
      isVerbose: isVerbose || options.contains("verbose"),
      showsProgress: showsProgress && !options.contains("no-progress"))
  }
}
