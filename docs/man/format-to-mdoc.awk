# Turns docs/FORMAT.md into the sections of pfs-format(5), in mdoc(7) with tables for tbl(1). It knows the Markdown that is
# written there: headings, paragraphs, lists, tables and fenced blocks; links become their text.

# Below the heading of the page.
BEGIN { afterHeading = 1 }

function escaped(text) {
  gsub(/\\/, "\\e", text)
  gsub(/'/, "\\(aq", text)
  gsub(/\^/, "\\(ha", text)
  gsub(/~/, "\\(ti", text)
  return text
}

# Between backquotes and stars other fonts; a lone star, as in a product, stays.
function marked(text,    head, place) {
  while (match(text, /\[[^\]]*\]\([^)]*\)/)) {
    head = substr(text, RSTART + 1, RLENGTH - 1)
    place = index(head, "](")
    text = substr(text, 1, RSTART - 1) substr(head, 1, place - 1) substr(text, RSTART + RLENGTH)
  }
  text = escaped(text)
  while (match(text, /`[^`]*`/))
    text = substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART + 1, RLENGTH - 2) "\\fR" substr(text, RSTART + RLENGTH)
  while (match(text, /\*[^* ][^*]*\*/))
    text = substr(text, 1, RSTART - 1) "\\fI" substr(text, RSTART + 1, RLENGTH - 2) "\\fR" substr(text, RSTART + RLENGTH)
  return text
}

# Lines of at most 78 characters, each sentence beginning on a new one.
function put(text,    words, count, i, line) {
  count = split(marked(text), words, /[ \t\n]+/)
  line = ""
  for (i = 1; i <= count; i++) {
    if (words[i] == "") continue
    if (line != "" && (length(line) + length(words[i]) > 77 ||
        (line ~ /[.?!]\)?$/ && words[i] ~ /^(\\f|\\\(|[A-Z0-9(])/))) {
      putLine(line)
      line = ""
    }
    line = line (line == "" ? "" : " ") words[i]
  }
  if (line != "") putLine(line)
}

function putLine(line) { print (line ~ /^[.]/ ? "\\&" : "") line }

# What was gathered of a paragraph or of an item of a list.
function flush() {
  if (gathered == "") return
  if (itemMark == "" && !afterHeading && list == "") print ".Pp"
  put(gathered)
  gathered = ""
  afterHeading = 0
}

function endList() {
  flush()
  if (list != "") print ".El"
  list = ""
}

function beginItem(kind) {
  flush()
  afterHeading = 0
  if (list != kind) {
    endList()
    print ".Bl -" kind " -width Ds"
    list = kind
  }
  print ".It"
}

function cells(line, row,    count) {
  sub(/^\| */, "", line)
  sub(/ *\| *$/, "", line)
  return split(line, row, / *\| */)
}

function beginTable(header, rule,    row, count, i, format) {
  endList()
  count = cells(rule, row)
  for (i = 1; i <= count; i++) format = format (row[i] ~ /:$/ ? "r" : "l") (i == count ? "x" : "") " "
  if (!afterHeading) print ".Pp"
  afterHeading = 0
  print ".TS"
  sub(/ $/, "", format)
  bold = format
  gsub(/[lr]x?/, "&B", bold)
  print bold
  print format "."
  putRow(header)
  inTable = 1
}

function putRow(line,    row, count, i, text) {
  count = cells(line, row)
  text = ""
  for (i = 1; i < count; i++) text = text marked(row[i]) "\t"
  print text "T{"
  put(row[count])
  print "T}"
}

/^```/ {
  if (inBlock) print ".Ed"
  else { endList(); print ".Bd -literal" }
  afterHeading = 0
  inBlock = !inBlock
  next
}
inBlock { line = escaped($0); putLine(line); next }

/^\|/ {
  if (inTable) { putRow($0); next }
  if (header == "") { header = $0; next }
  beginTable(header, $0)
  header = ""
  next
}
inTable { print ".TE"; inTable = 0; afterTable = 1 }

# The list of contents leads nowhere in a manual page.
/^# / { title = 1; next }
/^- \[/ && !begun { inContents = 1; next }
inContents && /^  / { next }
inContents { inContents = 0 }

/^##+ / {
  endList()
  begun = 1
  text = $0
  sub(/^#+ /, "", text)
  # A section EXAMPLES, as it would be taken for, comes elsewhere in a page.
  if (text == "Example") text = "Example segment"
  print (($0 ~ /^## /) ? ".Sh " toupper(text) : ".Ss " text)
  afterHeading = 1
  next
}
/^$/ { flush(); if (list != "") pendingEnd = 1; next }
/^- / || /^[0-9]+\. / {
  pendingEnd = 0
  beginItem($0 ~ /^- / ? "bullet" : "enum")
  text = $0
  sub(/^(-|[0-9]+\.) +/, "", text)
  gathered = text
  next
}
/^ / && list != "" { pendingEnd = 0; gathered = gathered " " $0; next }
{
  if (pendingEnd) { endList(); pendingEnd = 0 }
  gathered = gathered (gathered == "" ? "" : " ") $0
}
END { if (inTable) print ".TE"; endList() }
