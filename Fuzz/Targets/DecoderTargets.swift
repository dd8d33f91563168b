import Codecs
import CommandSupport
import StorageIO
import YAML

extension FuzzTarget {
  static let decoderTargets = [
    FuzzTarget(name: "part-decoder") { bytes in
      // Codec, how many bytes are said to come out, and the payload.
      guard bytes.count >= 3 else { return }
      let codec = Codec(rawValue: bytes[0] % 6)
      let declared = Int(bytes[1]) | Int(bytes[2]) << 8
      let decoder = PartDecoder()
      let stored = Array(bytes.dropFirst(3))
      var raw = [UInt8](repeating: 0, count: declared)
      stored.withRawSpan { span in
        var elements = raw.mutableSpan
        var destination = elements.mutableBytes
        tolerating { () throws(CodecFailure) in try decoder.decode(span, with: codec, into: &destination) }
        tolerating { () throws(CodecFailure) in
          let count = try decoder.decodeStart(of: span, with: codec, into: &destination)
          precondition((0...declared).contains(count), "\(count) of \(declared) bytes")
        }
      }
    },
    FuzzTarget(name: "yaml") { bytes in
      tolerating { () throws(YAMLFailure) in _ = try YAML.parse(bytes) }
    },
  ]

  static let textTargets = [
    FuzzTarget(name: "glob") { bytes in
      // Pattern, zero byte, name.
      let halves = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
      _ = Glob.isPattern(halves[0])
      tolerating { () throws(UsageError) in
        let glob = try Glob(halves[0])
        let name = halves.count > 1 ? halves[1] : []
        let matches = glob.matches(name)
        precondition(!matches || name.starts(with: glob.literalPrefix), "a match without the literal prefix")
      }
    },
    FuzzTarget(name: "text") { bytes in
      let shown = DisplayName.escaped(bytes)
      precondition(!shown.utf8.contains { $0 < 32 || $0 == 127 }, "a control character is shown")
      _ = DisplayName.base64(bytes)
      _ = JSONValue.object(DisplayName.jsonMembers(bytes)).serializedBytes
      _ = DisplayWidth.columns(of: shown)
      tolerating { () throws(UsageError) in _ = try ShellWords.split(bytes) }
      let text = String(decoding: bytes, as: UTF8.self)
      tolerating { () throws(UsageError) in
        let size = try ByteSize.parse(text)
        precondition(size >= 0, "\(size) bytes")
        _ = ByteSize.text(size)
      }
      tolerating { () throws(UsageError) in
        let seconds = try TimeSpan.parse(text)
        precondition(seconds >= 0 && seconds <= TimeSpan.maximumSeconds, "\(seconds) s")
      }
      tolerating { () throws(UsageError) in
        let selection = try ByteSelection.parse(text)
        for byteCount in [0, 1, 4096, Int.max] {
          let range = selection.range(ofByteCount: byteCount)
          precondition(range.lowerBound >= 0, "\(range)")
        }
      }
      _ = Spelling.suggestion(for: text, among: ["memory", "path"])
    },
  ]
}
