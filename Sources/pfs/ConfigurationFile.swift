import CommandSupport
import Console
import SegmentStore
import YAML

/// What a configuration file says; nil where it says nothing.
struct ConfigurationFile: Sendable {
  private(set) var storePath: FilePath?
  private(set) var workerCount: Int?
  private(set) var memoryByteCount: Int?
  private(set) var partByteCount: Int?
  private(set) var codec: CodecChoice?
  private(set) var level: Int?
  private(set) var lockTimeoutSeconds: Double?

  private static let keys = ["path", "processes", "memory", "part_size", "codec", "level", "lock_timeout"]

  /// Reads `--config`, else `$PFS_CONFIG`, else `./config.yaml` if it has keys of pfs, else the user's own; nothing
  /// where there is none of them.
  static func find(given: [UInt8]?) throws(CommandError) -> ConfigurationFile {
    if let path = given ?? StoreLocation.environment("PFS_CONFIG") { return try read(FilePath(bytes: path)) }
    if let here = try readIfOurs("config.yaml") { return here }
    guard let directory = StoreLocation.userDirectory("XDG_CONFIG_HOME", else: ".config") else { return .init() }
    let path = directory.appending("pfs").appending("config.yaml")
    guard ConsolePath.kind(path.bytes) != nil else { return .init() }
    return try read(path)
  }

  private static func read(_ path: FilePath) throws(CommandError) -> ConfigurationFile {
    let bytes: [UInt8]
    do throws(ConsoleFailure) { bytes = try ConsoleFile.read(path: path.bytes, limit: YAML.maximumByteCount) } catch {
      throw CommandError(.wrongUsage, "configuration file \(error.message)")
    }
    return try ConfigurationFile(parsing: bytes, path)
  }

  /// The file in the working directory, which may be somebody else's: then it is left alone.
  ///
  /// It is ours when a line of it begins with one of our keys, also when the rest is no YAML: a slip in it must not
  /// lead to another store.
  private static func readIfOurs(_ path: FilePath) throws(CommandError) -> ConfigurationFile? {
    guard case .file = ConsolePath.kind(path.bytes) else { return nil }
    let bytes: [UInt8]
    do throws(ConsoleFailure) { bytes = try ConsoleFile.read(path: path.bytes, limit: YAML.maximumByteCount) } catch {
      return nil
    }
    let isOurs = bytes.split(separator: UInt8(ascii: "\n")).contains { line in
      keys.contains { key in
        line.starts(with: key.utf8) && line.dropFirst(key.utf8.count).first { $0 != UInt8(ascii: " ") } == colon
      }
    }
    return isOurs ? try ConfigurationFile(parsing: bytes, path) : nil
  }

  private init() {}

  private init(parsing bytes: [UInt8], _ path: FilePath) throws(CommandError) {
    let shown = DisplayName.escaped(path.bytes)
    let document: YAMLNode?
    do throws(YAMLFailure) { document = try YAML.parse(bytes) } catch {
      throw CommandError(.wrongUsage, "\(shown):\(error.line): \(DisplayName.escaped(error.message))")
    }
    switch document {
    case nil: self.init()
    case .mapping(let pairs, _): try self.init(pairs, path)
    case .some(let node):
      throw CommandError(
        .wrongUsage, "\(shown):\(node.position.line): \(node.kindDescription) where keys and values are expected",
        advice: "a line has the form 'memory: 256MiB'")
    }
  }

  private init(_ pairs: [YAMLPair], _ path: FilePath) throws(CommandError) {
    for pair in pairs {
      let key = pair.key.text
      let place = "\(DisplayName.escaped(path.bytes)):\(pair.key.position.line): "
      guard ConfigurationFile.keys.contains(key) else {
        let suggestion = Spelling.suggestion(for: key, among: ConfigurationFile.keys)
        throw CommandError(
          .wrongUsage,
          "\(place)unknown key '\(DisplayName.escaped(key))'" + (suggestion.map { "; did you mean '\($0)'?" } ?? ""),
          advice: "the keys are \(ConfigurationFile.keys.joined(separator: ", "))")
      }
      do throws(UsageError) { try set(key, pair.value, path) } catch {
        throw CommandError(.wrongUsage, "\(place)key '\(key)': \(error.message)")
      }
    }
  }

  private mutating func set(_ key: String, _ value: YAMLNode, _ path: FilePath) throws(UsageError) {
    guard case .scalar(let scalar) = value else {
      throw UsageError(.invalidValue, "\(value.kindDescription) where one value is expected")
    }
    guard !scalar.text.isEmpty else { throw UsageError(.invalidValue, "has no value") }
    switch key {
    case "path": storePath = try ConfigurationFile.storePath(scalar.text, path)
    case "processes": workerCount = try ConfigurationFile.integer(scalar, in: Settings.workerCounts)
    case "memory": memoryByteCount = try ByteSize.parse(scalar.text)
    case "part_size": partByteCount = try ByteSize.parse(scalar.text)
    case "codec": codec = try CodecChoice(parsing: scalar.text)
    case "level": level = try ConfigurationFile.integer(scalar, in: CodecChoice.levels)
    default: lockTimeoutSeconds = try TimeSpan.parse(scalar.text)
    }
  }

  /// A relative path begins at the directory of the file, and `~/` at the home of the user.
  private static func storePath(_ text: String, _ file: FilePath) throws(UsageError) -> FilePath {
    guard !text.utf8.contains(0) else { throw UsageError(.zeroByte, "a path cannot hold a zero byte") }
    if text.hasPrefix("/") { return FilePath(text) }
    if text == "~" || text.hasPrefix("~/"), let home = StoreLocation.home {
      return home.appending(String(text.dropFirst(2)))
    }
    return file.parent == "." ? FilePath(text) : file.parent.appending(text)
  }

  private static func integer(_ scalar: YAMLScalar, in range: ClosedRange<Int>) throws(UsageError) -> Int {
    guard !scalar.isQuoted, let number = Int(scalar.text), range.contains(number) else {
      throw UsageError(
        .invalidValue,
        "\(scalar.isQuoted ? "text " : "")'\(DisplayName.escaped(scalar.text))' where a whole number from "
          + "\(range.lowerBound) to \(range.upperBound) is expected")
    }
    return number
  }
}

private let colon = UInt8(ascii: ":")
