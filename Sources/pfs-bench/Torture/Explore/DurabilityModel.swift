/// Follows a log of calls and says at each point where the power may go what is durable and what is not.
///
/// The rules stand at ``FileHistory``, for bytes and sizes, and at ``DirectoryHistory``, for names. Modes, owners and
/// dates are not followed. `lock.mdb` is left out: LMDB makes it anew when nobody holds it, as after a loss of power.
struct DurabilityModel {
  private static let ignoredName = Array("lock.mdb".utf8)

  private var names: DirectoryHistory
  private var files: [DirectoryTree.Node: FileHistory]
  private var nodes: [CallLog.Object: DirectoryTree.Node] = [:]
  private var ignored: Set<CallLog.Object> = []
  private var nodeCount: Int
  /// Calls that began and have not returned, oldest first.
  private var syncs: [(extent: CallLog.Extent, event: Int)] = []
  private var directorySyncs: [(object: CallLog.Object, event: Int)] = []
  private var marks: [String] = []
  /// Syncs of files whose paths contain it do nothing.
  private let blindSpot: String?
  private var hasChanged = true
  private var points: [CrashPoint] = []
  private var overwritten: [String] = []

  /// - Parameter base: What was there before the process came, durable.
  private init(base: CrashState, blindSpot: String?) {
    self.blindSpot = blindSpot
    var tree = DirectoryTree()
    var files: [DirectoryTree.Node: FileHistory] = [:]
    var count = 1
    func parent(of path: [UInt8]) -> (DirectoryTree.Node, name: [UInt8])? {
      let parts = path.split(separator: UInt8(ascii: "/"))
      guard let name = parts.last else { return nil }
      return tree.node(at: Array(parts.dropLast().joined(separator: [UInt8(ascii: "/")]))).map { ($0, Array(name)) }
    }
    for directory in base.directories {
      guard let (above, name) = parent(of: directory) else { continue }
      tree.entries[above]?[name] = count
      tree.entries[count] = [:]
      count += 1
    }
    for file in base.files {
      guard let (above, name) = parent(of: file.path) else { continue }
      tree.entries[above]?[name] = count
      files[count] = FileHistory(byteCount: file.byteCount, pages: file.pages)
      count += 1
    }
    names = DirectoryHistory(tree)
    self.files = files
    nodeCount = count
    nodes = [:]
  }

  /// All points of `log`, the texts of its marks, and the pages that were written over through a mapping.
  /// - Parameter blindSpot: Syncs of files whose paths contain this, and of directories whose paths with `/.` behind them
  ///   do, are taken to do nothing, as if the engine did not make them: what it promises is then broken, and that has to
  ///   be seen.
  static func crashPoints(
    of log: CallLog, base: CrashState = CrashState(), blindSpot: String? = nil
  ) throws(BenchFailure) -> (points: [CrashPoint], marks: [String], overwritten: [String]) {
    var model = DurabilityModel(base: base, blindSpot: blindSpot)
    for (index, event) in log.events.enumerated() { try model.apply(event, index) }
    model.addPoint("at the end")
    return (model.points, model.marks, model.overwritten)
  }

  private mutating func addPoint(_ reason: String) {
    guard hasChanged else { return }
    hasChanged = false
    points.append(
      CrashPoint(number: points.count, reason: reason, markCount: marks.count, names: names, files: files))
  }

  private mutating func apply(_ event: CallLog.Event, _ index: Int) throws(BenchFailure) {
    switch event {
    case .object(let object, let isDirectory, let existed, let byteCount, let path):
      try add(object, isDirectory: isDirectory, existed: existed, byteCount: byteCount, path: path)
    case .write(let object, let offset, let bytes, let isDurable):
      try change(object, index, isMetadata: { $0.byteCount < offset + bytes.count }) { file in
        file.write(bytes, at: offset, event: index)
      }
      if isDurable { try endSync(CallLog.Extent(object: object, offset: offset, byteCount: bytes.count), index + 1) }
    case .page(let object, let number, let bytes):
      var isOverwritten = false
      try change(object, index, isMetadata: { _ in false }) { file in
        isOverwritten = file.isOverwritten(number, by: bytes)
        file.setPage(number, bytes, event: index)
      }
      // Segments are appended to: what is in them is changed by nothing but zeros, when it is taken back.
      if isOverwritten { overwritten.append("page \(number) of \(path(of: try node(object, index)))") }
    case .size(let object, let byteCount):
      try change(object, index, isMetadata: { _ in true }) { $0.resize(to: byteCount, event: index) }
    case .zero(let extent):
      try change(extent.object, index, isMetadata: { _ in true }) {
        $0.zero(extent.offset..<extent.end, event: index)
      }
    case .syncBegin(let extent): syncs.append((extent, index))
    case .syncEnd(let extent):
      guard let began = syncs.firstIndex(where: { $0.extent == extent }) else {
        throw DurabilityModel.wrong(index, "a sync ended that had not begun")
      }
      try endSync(extent, syncs.remove(at: began).event)
    case .directorySyncBegin(let object): directorySyncs.append((object, index))
    case .directorySyncEnd(let object): try endDirectorySync(object, index)
    case .link(let directory, let name, let object):
      guard !isIgnored(name, object) else { return }
      try changeNames(.link(directory: node(directory, index), name: name, node(object, index)), index)
    case .unlink(let directory, let name):
      guard name != DurabilityModel.ignoredName else { return }
      try changeNames(.unlink(directory: node(directory, index), name: name), index)
    case .rename(let source, let name, let target, let newName, let exchanges):
      try rename(source, name, target, newName, exchanges: exchanges, index)
    case .mark(let text):
      addPoint("before '\(text)'")
      marks.append(text)
      hasChanged = true
      addPoint("after '\(text)'")
    case .note: break
    }
  }

  private static func wrong(_ index: Int, _ what: String) -> BenchFailure {
    BenchFailure(.failed, "event \(index) of the log of calls: \(what)")
  }

  private func node(_ object: CallLog.Object, _ index: Int) throws(BenchFailure) -> DirectoryTree.Node {
    guard let node = nodes[object] else { throw DurabilityModel.wrong(index, "object \(object) is not known") }
    return node
  }

  private mutating func isIgnored(_ name: [UInt8], _ object: CallLog.Object) -> Bool {
    if name == DurabilityModel.ignoredName { ignored.insert(object) }
    return ignored.contains(object)
  }

  // MARK: Files

  private mutating func add(
    _ object: CallLog.Object, isDirectory: Bool, existed: Bool, byteCount: Int, path: [UInt8]
  ) throws(BenchFailure) {
    if path.split(separator: UInt8(ascii: "/")).last.map(Array.init) == DurabilityModel.ignoredName {
      ignored.insert(object)
      return
    }
    if existed {
      guard let known = names.newest.node(at: path) else {
        throw BenchFailure(
          .failed, "the log of calls says that '\(String(decoding: path, as: UTF8.self))' was there, but it was not")
      }
      nodes[object] = known
      return
    }
    nodes[object] = nodeCount
    if isDirectory { names.addDirectory(nodeCount) } else { files[nodeCount] = FileHistory() }
    nodeCount += 1
  }

  private mutating func change(
    _ object: CallLog.Object, _ index: Int, isMetadata: (FileHistory) -> Bool, _ body: (inout FileHistory) -> Void
  ) throws(BenchFailure) {
    guard !ignored.contains(object) else { return }
    let node = try node(object, index)
    guard var file = files.removeValue(forKey: node) else {
      throw DurabilityModel.wrong(index, "object \(object) is not a file")
    }
    if isMetadata(file) { names.changeMetadata(of: node, event: index) }
    body(&file)
    files[node] = file
    hasChanged = true
  }

  /// What happened before `event` is durable from here on.
  private mutating func endSync(_ extent: CallLog.Extent, _ event: Int) throws(BenchFailure) {
    guard !ignored.contains(extent.object) else { return }
    let node = try node(extent.object, event)
    let shown = path(of: node)
    addPoint("in a sync of \(shown)")
    if isBlind(shown) { return }
    files[node]?.makeDurable(extent.offset..<extent.end, before: event)
    names.makeDurable(node, before: event, isDirectory: false)
    hasChanged = true
    addPoint("after a sync of \(shown)")
  }

  // MARK: Names

  private mutating func endDirectorySync(_ object: CallLog.Object, _ index: Int) throws(BenchFailure) {
    guard let began = directorySyncs.firstIndex(where: { $0.object == object }) else {
      throw DurabilityModel.wrong(index, "a sync ended that had not begun")
    }
    let node = try node(object, index)
    let shown = path(of: node)
    addPoint("in a sync of directory \(shown)")
    let event = directorySyncs.remove(at: began).event
    if isBlind("\(shown)/.") { return }
    names.makeDurable(node, before: event, isDirectory: true)
    hasChanged = true
    addPoint("after a sync of directory \(shown)")
  }

  private mutating func rename(
    _ source: CallLog.Object, _ name: [UInt8], _ target: CallLog.Object, _ newName: [UInt8], exchanges: Bool,
    _ index: Int
  ) throws(BenchFailure) {
    guard name != DurabilityModel.ignoredName, newName != DurabilityModel.ignoredName else { return }
    let (from, to) = (try node(source, index), try node(target, index))
    guard let moved = names.newest.entries[from]?[name] else {
      throw DurabilityModel.wrong(index, "'\(String(decoding: name, as: UTF8.self))' was renamed, but is not there")
    }
    let other = exchanges ? names.newest.entries[to]?[newName] : nil
    try changeNames(.rename(from: from, name, to: to, newName, moved, exchangedWith: other), index)
  }

  private mutating func changeNames(_ change: DirectoryChange, _ index: Int) throws(BenchFailure) {
    names.append(change, event: index)
    hasChanged = true
    addPoint("after \(change.text)")
  }

  private func isBlind(_ shown: String) -> Bool { blindSpot.map { shown.contains($0) } ?? false }

  /// For people.
  private func path(of node: DirectoryTree.Node) -> String {
    if node == DirectoryTree.root { return "the directory above" }
    for (directory, entries) in names.newest.entries {
      guard let name = entries.first(where: { $0.value == node })?.key else { continue }
      let shown = String(decoding: name, as: UTF8.self)
      return directory == DirectoryTree.root ? shown : "\(path(of: directory))/\(shown)"
    }
    return "a file without a name"
  }
}
