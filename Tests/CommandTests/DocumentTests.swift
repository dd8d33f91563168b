import Foundation
import TestSupport
import Testing

/// That the documents speak of what there is.
@Suite("Documents") struct DocumentTests {
  private static let documents =
    ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
    + ["docs", "docs/decisions", "Benchmarks"].flatMap { directory in
      names(in: directory).filter { $0.hasSuffix(".md") }.map { "\(directory)/\($0)" }
    }

  @Test("link to files that are there", arguments: documents) func links(document: String) throws {
    let text = try ProjectTree.text(document)
    let directory = (ProjectTree.root / document).parent
    for match in text.matches(of: /\]\(([^)#:]+)(?:#[^)]*)?\)/) {
      #expect(try (directory / String(match.1)).exists(), "\(document) links to \(match.1)")
    }
  }

  @Test("name every module, and no type that there is not") func design() throws {
    let design = try ProjectTree.text("docs/DESIGN.md")
    // Not the module maps of system libraries, which are called by their C.
    for module in DocumentTests.names(in: "Sources") where !module.prefix(2).allSatisfy(\.isUppercase) {
      #expect(design.contains(module), "docs/DESIGN.md says nothing of \(module)")
    }
    let words = try DocumentTests.words(below: "Sources").union(["Package"])
    // Types and their members; what is written in capitals alone is of others.
    for match in design.matches(of: /`([A-Z][A-Za-z]*[a-z][A-Za-z]*)(?:\.([a-z][A-Za-z]*))?`/) {
      #expect(words.contains(match.1), "docs/DESIGN.md: \(match.1)")
      if let member = match.2, member != "swift" { #expect(words.contains(member), "docs/DESIGN.md: \(member)") }
    }
  }

  @Test("number decisions without gaps") func decisions() {
    let numbers = DocumentTests.names(in: "docs/decisions").compactMap { Int($0.prefix(4)) }
    #expect(numbers == Array(1...max(1, numbers.count)))
  }

  private static func names(in directory: String) -> [String] {
    do {
      return try (ProjectTree.root / directory).entryNames().map { String(decoding: $0, as: UTF8.self) }
    } catch {
      Issue.record(error)
      return []
    }
  }

  /// All words of the sources, and the names of their files without extensions.
  private static func words(below directory: String) throws -> Set<Substring> {
    var words: Set<Substring> = []
    for path in try FileManager.default.subpathsOfDirectory(atPath: (ProjectTree.root / directory).text) {
      words.formUnion(path.split { !$0.isLetter })
      guard path.hasSuffix(".swift") else { continue }
      words.formUnion(try ProjectTree.text("\(directory)/\(path)").split { !$0.isLetter })
    }
    return words
  }
}
