import CommandSupport
import SegmentStore

/// What the command line, the environment and the configuration file say together, in this order.
struct Settings: Sendable {
  let storePath: FilePath
  var store: Store.Configuration
  /// For new stores, and for files that are put.
  let partByteCount: Int?
  let codec: CodecChoice?
  let level: Int?
  var style: OutputStyle

  static let workerCounts = 1...1024

  /// For a command that needs nothing but a way to print.
  init(style: OutputStyle) {
    storePath = FilePath("")
    store = Store.Configuration()
    (partByteCount, codec, level) = (nil, nil, nil)
    self.style = style
  }

  /// - Parameter options: parsed with the global options in their table.
  init(_ options: ParsedOptions) throws(CommandError) {
    let given = try translatingUsage { () throws(UsageError) in
      (
        memoryByteCount: try options.byteCount(of: "memory"),
        workerCount: try options.integer(of: "workers", in: Settings.workerCounts),
        lockTimeoutSeconds: try options.seconds(of: "lock-timeout")
      )
    }
    let file = try ConfigurationFile.find(given: options.value(of: "config"))
    var store = Store.Configuration()
    // A command is over soon; the shell says otherwise.
    store.compactsInBackground = false
    if let memory = given.memoryByteCount ?? file.memoryByteCount { store.memoryByteCount = memory }
    if let workers = given.workerCount ?? file.workerCount { store.workerCount = workers }
    if let timeout = given.lockTimeoutSeconds ?? file.lockTimeoutSeconds { store.lockTimeoutSeconds = timeout }
    self.store = store
    storePath = try StoreLocation.find(given: options.value(of: "store"), configured: file.storePath)
    partByteCount = file.partByteCount
    codec = file.codec
    level = file.level
    style = OutputStyle().adding(options)
  }
}

/// What `--codec` and the configuration call an encoding.
enum CodecChoice: String, Hashable, Sendable, CaseIterable {
  case zlib
  case zstd
  case lz4
  case stored
  /// What is best for each part.
  case auto

  /// Of all codecs; which of them a codec has is known when both are.
  static let levels = 1...19

  init(parsing text: String) throws(UsageError) {
    guard let choice = CodecChoice(rawValue: text) else {
      let names = CodecChoice.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError(.invalidValue, "'\(DisplayName.escaped(text))' is no codec; the codecs are \(names)")
    }
    self = choice
  }

  var encoding: PutOptions.Encoding {
    switch self {
    case .zlib: .zlib
    case .zstd: .zstd
    case .lz4: .lz4
    case .stored: .stored
    case .auto: .auto
    }
  }
}
