// The page's script. It unpacks the picture (views/page.py writes it), works out what was the case after any event, and shows that.
// Everything that sessions wrote becomes text nodes and attributes of ours: nothing is ever parsed as markup.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const $ = (id) => document.getElementById(id);
  const mode = document.documentElement.dataset.mode;
  const LANES = 40, FEW = 12, ROWS = 30, MESSAGES = 80, CARDS = 8;

  function make(space, tag, attrs, kids) {
    const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
    for (const [key, value] of Object.entries(attrs || {})) {
      if (key === "on") for (const [name, act] of Object.entries(value)) node.addEventListener(name, act);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
    }
    for (const kid of kids.flat()) if (kid !== null && kid !== undefined && kid !== "") node.append(kid);
    return node;
  }
  const h = (tag, attrs, ...kids) => make(null, tag, attrs, kids);
  const s = (tag, attrs, ...kids) => make(SVG, tag, attrs, kids);
  const fill = (node, ...kids) => node.replaceChildren(...kids.flat());
  const many = (count, word) => `${count.toLocaleString()} ${word}${count === 1 ? "" : "s"}`;

  // --- the picture ------------------------------------------------------------------------------------------------------

  let D, T, moment, followed = true, zoom = 0, all = false, shown = ROWS, playing = 0;

  async function unpack(text) {
    const raw = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  function read(data) {
    D = data;
    T = new Float64Array(D.t.length);
    D.t.reduce((sum, step, at) => (T[at] = sum + step), 0);
    D.stays = D.stays.map(([who, seq, at, endSeq, endAt, how, work, role, agent, host, branch, done]) =>
      ({who, seq, at, endSeq, endAt, how, work, role, agent, host, branch, done}));
    D.bars = D.bars.map(([who, what, seq, at, until, end, how, by, note, shared]) =>
      ({who, what, seq, at, end, how, by, note, shared, until, to: Math.min(until, end ? time(end) : Infinity)}));
    D.waits = D.waits.map(([who, what, seq, at, until, end, how, holders]) =>
      ({who, what, seq, at, until, end, how, holders, to: Math.min(until, end ? time(end) : Infinity)}));
    D.notes = D.notes.map(([seq, at, from, to, type, subject, body, root, asks, answered, id]) =>
      ({seq, at, from, to, type, subject, body, root, asks, answered, id}));
    D.passes = D.passes.map(([seq, at, from, to, about, takenSeq, takenAt, by, id]) => ({seq, at, from, to, about, takenSeq, takenAt, by, id}));
    D.cards = D.cards.map(([task, title, seq, at, by, needs, to, steps]) => ({task, title, seq, at, by, needs, to, steps}));
    D.warns = D.warns.map(([seq, at, pair, verdict, files]) => ({seq, at, pair, verdict, files}));
    D.heard = new Map();
    D.s.forEach((name, at) => {
      const who = D.who[name];
      if (!D.heard.has(who)) D.heard.set(who, []);
      D.heard.get(who).push(D.first + at);
    });
    D.says = new Map();
    for (const [seq, doing, blocked] of D.doing) {
      const who = D.who[D.s[seq - D.first]];
      if (!D.says.has(who)) D.says.set(who, []);
      D.says.get(who).push({seq, doing, blocked});
    }
  }

  const time = (seq) => (seq < D.first || !T.length ? (T.length ? T[0] : D.now) : seq > D.total ? D.now : T[seq - D.first]);

  // The last entry at or before that event, in a list that is sorted by `key`.
  function last(list, seq, key = (one) => one) {
    let low = 0, high = list ? list.length : 0;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (key(list[mid]) <= seq) low = mid + 1; else high = mid;
    }
    return low ? list[low - 1] : undefined;
  }

  // What was the case after event `seq`. A lease is live from the event that granted it, until an event ended it or its time ran out.
  function at(seq) {
    const when = seq >= D.total ? D.now : time(seq);
    const lives = (one) => one.seq <= seq && !(one.end && one.end <= seq) && when < one.until;
    const bars = D.bars.filter(lives), waits = D.waits.filter(lives);
    const holds = new Map(), waiting = new Map();
    for (const bar of bars) holds.set(bar.who, [...(holds.get(bar.who) || []), bar]);
    for (const wait of waits) waiting.set(wait.who, wait);
    const sessions = D.stays.filter((one) => one.seq <= seq && !(one.endSeq && one.endSeq <= seq)).map((stay) => {
      const heard = Math.max(stay.at, time(last(D.heard.get(stay.who), seq) || stay.seq));
      const say = last(D.says.get(stay.who), seq, (one) => one.seq);
      const now = say && say.seq >= stay.seq ? say : {doing: "", blocked: ""};
      const wait = waiting.get(stay.who);
      const state = now.blocked ? "blocked" : wait ? "waiting" : when - heard > D.quiet ? "quiet" : "working";
      return {...stay, heard, wait, state, doing: now.doing, blocked: now.blocked, holds: holds.get(stay.who) || []};
    });
    const since = new Map(sessions.map((one) => [one.who, one.seq])); // a conflict ends with either session; one that comes back is new
    const foretold = new Map();
    for (const warn of D.warns) if (warn.seq <= seq) foretold.set(warn.pair.join("+"), warn);
    const warns = [...foretold.values()].filter((one) => one.verdict !== "none" && one.pair.every((name) => since.get(name) <= one.seq));
    const open = D.notes.filter((one) => one.seq <= seq && one.asks && !(one.answered && one.answered <= seq));
    const offers = D.passes.filter((one) => one.seq <= seq && !(one.takenSeq && one.takenSeq <= seq));
    const worked = new Map(bars.filter((bar) => bar.what.startsWith("task:")).map((bar) => [+bar.what.slice(5), bar]));
    const cards = D.cards.filter((one) => one.seq <= seq);
    const status = new Map(cards.map((one) => [one.task, (last(one.steps, seq, (step) => step[0]) || [0, "open"])[1]]));
    const column = (one) => {
      if (status.get(one.task) !== "open") return "done";
      if (worked.has(one.task)) return "work";
      return one.needs.some((need) => status.get(need) === "open") ? "blocked" : "ready";
    };
    return {seq, when, bars, waits, sessions, warns, open, offers, worked, status,
      cards: cards.map((one) => ({...one, column: column(one), by: (worked.get(one.task) || {}).who}))};
  }

  const most = () => (all ? Infinity : innerWidth <= 620 ? FEW : LANES);

  // --- words ------------------------------------------------------------------------------------------------------------

  const clock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", hourCycle: "h23"});
  const day = new Intl.DateTimeFormat(undefined, {day: "numeric", month: "short"});
  const whole = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "medium", hourCycle: "h23"});
  const date = (when) => new Date(when * 1000);
  const sameDay = (a, b) => date(a).toDateString() === date(b).toDateString();
  const brief = (when) => (sameDay(when, D.now) ? clock.format(date(when)) : `${day.format(date(when))}, ${clock.format(date(when))}`);
  function span(seconds) {
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
    }
    return `${Math.max(0, Math.floor(seconds))} s`;
  }
  const ago = (when, now) => (now - when < 5 ? "just now" : `${span(now - when)} ago`);
  const instant = (when) => h("time", {datetime: date(when).toISOString(), title: whole.format(date(when))}, brief(when));
  const short = (what) => (what.startsWith("file:") ? what.slice(5) : what.startsWith("task:") ? `#${what.slice(5)}` : what);
  const few = (list, count = 3) => list.slice(0, count).join(", ") + (list.length > count ? ` and ${list.length - count} more` : "");

  // --- the parts --------------------------------------------------------------------------------------------------------

  function drawHead(now) {
    const past = moment < D.total;
    document.body.classList.toggle("past", past);
    $("moment").textContent = past ? `${brief(now.when)}, event ${moment.toLocaleString()}` : `Now, event ${D.total.toLocaleString()}`;
    const text = moment >= D.first && moment <= D.total ? D.x[moment - D.first] || `${D.who[D.s[moment - D.first]]} is there` : "before the first event shown";
    $("what").textContent = D.total ? (past ? text : `last: ${text}`) : "nothing has happened yet";
    $("slider").value = moment;
    $("slider").setAttribute("aria-valuetext", `${$("moment").textContent}: ${text}`);
    $("now").disabled = !past;
    $("back").disabled = moment <= +$("slider").min;
    $("on").disabled = !past;
    $("h-needs").textContent = past ? "Needed somebody then" : "Needs somebody now";
  }

  function drawSums(now) {
    const by = (state) => now.sessions.filter((one) => one.state === state).length;
    const states = ["working", "waiting", "blocked", "quiet"].map((state) => [by(state), state]).filter(([count]) => count);
    const done = [...now.status.values()].filter((one) => one === "done").length;
    const count = (column) => now.cards.filter((one) => one.column === column).length;
    const total = now.cards.length;
    const open = now.open.filter((one) => one.type === "question").length;
    const tiles = [
      ["sessions", now.sessions.length, states.map(([one, state]) => `${one} ${state}`).join(", ")],
      ["claims held", now.bars.length, now.bars.length ? `by ${many(new Set(now.bars.map((one) => one.who)).size, "session")}` : ""],
      ["waiting in line", now.waits.length, now.waits.length ? `longest ${span(now.when - Math.min(...now.waits.map((one) => one.at)))}` : "", now.waits.length && "hot"],
      ["unanswered", now.open.length, now.open.length ? `${many(open, "question")}, ${many(now.open.length - open, "request")}` : "", now.open.length && "hot"],
      ["foretold conflicts", now.warns.length, now.warns.length ? `${now.warns.filter((one) => one.verdict === "certain").length} certain` : "", now.warns.length && "red"],
      ["tasks done", total ? `${done}/${total}` : "0", total ? `${count("work")} in work, ${count("ready")} ready` : ""],
    ];
    fill($("sums"), tiles.map(([name, value, more, mark]) =>
      h("div", {class: mark || null}, h("dt", {}, name), h("dd", {class: "n"}, value.toLocaleString()), h("dd", {class: "d"}, more))));
  }

  const URGENT = {conflict: "bad", blocked: "bad", trespass: "bad", red: "bad", bad_commit: "bad", unanswered: "wait", waiting: "wait", request: "wait"};
  const WORDS = {silent_holder: "silent", expires_soon: "ends soon", bad_commit: "bad commit", expired: "over", unanswered: "question", waiting: "waits", red: "red trial"};

  const named = (one) => one.word || WORDS[one.kind] || one.kind.replaceAll("_", " ");

  function pastNeeds(now) {
    return [
      ...now.warns.map((one) => ({kind: "conflict", text: `${one.pair.join(" and ")} ${one.verdict === "certain" ? "will" : "are likely to"} collide in ${few(one.files)}`})),
      ...now.sessions.filter((one) => one.blocked).map((one) => ({kind: "blocked", text: `${one.who} is blocked by ${one.blocked}`})),
      ...now.open.map((one) => one.type === "question"
        ? {kind: "unanswered", text: `${one.to} has not answered ${one.from}: ${one.subject}`}
        : {kind: "request", text: `${one.to} has not answered ${one.from}: ${one.subject}`}),
      ...now.waits.map((one) => ({kind: "waiting", text: `${one.who} waits for ${few(one.what)}${one.holders.length ? `, held by ${few(one.holders)}` : ""}, ${span(now.when - one.at)}`})),
      ...now.offers.map((one) => ({kind: "handoff", text: `${one.from} hands over to ${one.to}: ${one.about}`})),
      ...now.sessions.filter((one) => one.state === "quiet" && one.holds.length).map((one) => ({kind: "silent_holder", text: `${one.who} holds ${few(one.holds.map((bar) => short(bar.what)))} and was last heard ${ago(one.heard, now.when)}`})),
    ];
  }

  function drawNeeds(now) {
    const [items, left] = moment >= D.total ? [D.needs, D.rest] : bounded(pastNeeds(now), 10);
    const row = (one) => h("li", {}, h("span", {class: `tag ${URGENT[one.kind] || ""}`}, named(one)), h("span", {}, one.text));
    fill($("needs"), items.map(row), left ? h("li", {class: "plain"}, left) : [],
      items.length ? [] : h("li", {class: "plain"}, D.total ? "Nobody waits, nothing is open." : "No event yet. Once a session starts, it is shown here."));
  }

  // The first so many, and in words how many of each kind are left.
  function bounded(items, most) {
    const rest = new Map();
    for (const one of items.slice(most)) rest.set(named(one), (rest.get(named(one)) || 0) + 1);
    const words = [...rest].map(([word, count]) => `${count} ${word}`).join(", ");
    return [items.slice(0, most), words && `and ${items.length - most} more: ${words}`];
  }

  function drawSessions(now) {
    if (!now.sessions.length) return fill($("sessions"), h("p", {class: "soft"}, "No session is active."));
    const order = {blocked: 0, waiting: 1, working: 2, quiet: 3};
    const list = [...now.sessions].sort((a, b) => order[a.state] - order[b.state] || a.seq - b.seq);
    const tone = {blocked: "bad", waiting: "wait", working: "work", quiet: ""};
    const cell = (attrs, ...kids) => h("td", {role: "cell", ...attrs}, ...kids);
    const rows = list.slice(0, most()).map((one) => h("tr", {role: "row"},
      cell({}, h("strong", {}, one.who), h("small", {}, [one.agent, one.host, one.branch].filter(Boolean).join(" · "))),
      cell({}, h("span", {class: `tag ${tone[one.state]}`}, one.state)),
      cell({}, one.doing || one.work || "", one.blocked ? h("small", {}, `blocked by ${one.blocked}`)
        : one.wait ? h("small", {}, `for ${few(one.wait.what.map(short))}${one.wait.holders.length ? `, held by ${few(one.wait.holders)}` : ""}, ${span(now.when - one.wait.at)}`)
        : one.doing && one.work ? h("small", {}, one.work) : ""),
      cell({"data-l": "holds"}, one.holds.length ? h("span", {class: "mono"}, few(one.holds.map((bar) => short(bar.what)), 4)) : h("span", {class: "soft"}, "nothing")),
      cell({class: "t", "data-l": "heard"}, h("span", {title: whole.format(date(one.heard))}, ago(one.heard, now.when)))));
    const heads = [["Session", "c-who"], ["State", "c-state"], ["Doing", ""], ["Holds", "c-holds"], ["Heard", "c-heard"]];
    fill($("sessions"), h("table", {role: "table"}, h("thead", {role: "rowgroup"}, h("tr", {role: "row"},
      heads.map(([word, name]) => h("th", {scope: "col", role: "columnheader", class: name || null}, word)))), h("tbody", {role: "rowgroup"}, rows)),
      list.length > rows.length ? h("p", {class: "note"}, `and ${list.length - rows.length} more`) : "");
  }

  // --- the lanes --------------------------------------------------------------------------------------------------------

  const ZOOMS = [["1 h", 3600], ["4 h", 4 * 3600], ["1 day", 86400], ["All", 0]];
  const LANE = 50, LINE = 18, MAX = 4;

  function windowOf(now) {
    const from = T.length ? T[0] : D.now - 3600, to = Math.max(D.now, from + 60);
    if (!zoom) return [from, to + (to - from) * 0.01];
    const end = Math.min(to, now.when + zoom * 0.15);
    return [Math.max(Math.min(from, end - 60), end - zoom), end + zoom * 0.01];
  }

  // Leases of one event that end together are one bar: a claim on forty files is one claim.
  function joined(list) {
    const groups = new Map();
    for (const bar of list) {
      const key = `${bar.seq} ${bar.to}`;
      const known = groups.get(key);
      if (known) known.more++; else groups.set(key, {...bar, more: 0});
    }
    return [...groups.values()];
  }

  function drawLanes(now) {
    const [from, to] = windowOf(now), narrow = innerWidth <= 620;
    const width = Math.max(160, $("lanes").clientWidth - (narrow ? 104 : 190));
    const x = (when) => ((Math.min(Math.max(when, from - 9e9), to + 9e9) - from) / (to - from)) * width;
    const inside = (a, b) => a <= to && b >= from;
    const lanes = new Map();
    for (const stay of D.stays) {
      if (!inside(stay.at, stay.endAt || D.now)) continue;
      if (!lanes.has(stay.who)) lanes.set(stay.who, {who: stay.who, stays: [], bars: [], waits: [], rows: []});
      lanes.get(stay.who).stays.push(stay);
    }
    for (const bar of D.bars) if (lanes.has(bar.who) && inside(bar.at, Math.min(bar.to, D.now))) lanes.get(bar.who).bars.push(bar);
    for (const wait of D.waits) if (lanes.has(wait.who) && inside(wait.at, Math.min(wait.to, D.now))) lanes.get(wait.who).waits.push(wait);
    const alive = new Map(now.sessions.map((one) => [one.who, one]));
    const list = [...lanes.values()].sort((a, b) => alive.has(b.who) - alive.has(a.who) || b.bars.length + b.waits.length > 0 && a.stays[0].at - b.stays[0].at || a.stays[0].at - b.stays[0].at);
    const seen = list.slice(0, most());
    const names = [h("li", {class: "gap", "aria-hidden": "true"})], draw = [], ticks = [], tops = new Map();
    let y = 26;
    for (const lane of seen) {
      const items = [...joined(lane.bars), ...lane.waits.map((one) => ({...one, waits: true}))].sort((a, b) => a.at - b.at || a.seq - b.seq);
      const ends = [];
      let left = 0;
      for (const item of items) {
        const a = x(item.at), b = Math.max(a + 2, x(Math.min(item.to, D.now)));
        let row = ends.findIndex((end) => end <= a + 0.5);
        if (row < 0) row = ends.length;
        if (row >= MAX) { left++; continue; }
        ends[row] = b;
        item.row = row; item.a = a; item.b = b;
      }
      const height = Math.max(LANE, Math.min(MAX, ends.length) * LINE + 14);
      tops.set(lane.who, [y + 10, y + height - 10]);
      const live = alive.get(lane.who), last = lane.stays[lane.stays.length - 1];
      names.push(h("li", {class: live ? null : "over", "data-h": height, title: `${lane.who}: ${(live && live.doing) || last.work || last.done.join("; ")}`},
        h("b", {}, h("i", {class: `dot ${live ? live.state : "ended"}`}), lane.who),
        h("span", {}, live ? (live.doing || live.work || live.state) : last.done[0] || (last.endAt ? `${last.how} ${brief(last.endAt)}` : last.work)),
        left ? h("span", {}, `${left} more not drawn`) : ""));
      ticks.push(s("line", {class: "rule", x1: 0, x2: width, y1: y + 0.5, y2: y + 0.5}));
      for (const stay of lane.stays) draw.push(s("line", {class: "stay", x1: x(stay.at), x2: x(stay.endAt || D.now), y1: y + height / 2, y2: y + height / 2}));
      const base = y + (height - Math.max(1, Math.min(MAX, ends.length)) * LINE) / 2;
      for (const item of items) if (item.row !== undefined) draw.push(bar(item, base + item.row * LINE, width, items, now));
      y += height;
    }
    ticks.push(...axis(from, to, width, y));
    const arrows = messages(from, to, x, tops, now, width);
    const cursor = x(now.when);
    const picture = s("svg", {viewBox: `0 0 ${width} ${y + 1}`, height: y + 1, role: "img",
      "aria-label": `${many(list.length, "session")} as lanes from ${whole.format(date(from))} to ${whole.format(date(to))}, with ${many(D.bars.filter((one) => inside(one.at, one.to)).length, "claim")}; the table of sessions has the same in words`,
      on: {click: (event) => { const seq = event.target.closest("[data-seq]"); if (seq) go(+seq.getAttribute("data-seq")); }}},
      ticks, arrows, draw,
      moment < D.total ? [s("rect", {class: "ahead", x: cursor, y: 26, width: Math.max(0, width - cursor), height: y - 26})] : [],
      s("line", {class: "cursor", x1: cursor, x2: cursor, y1: 20, y2: y}));
    const side = h("ul", {class: "names"}, names);
    for (const item of side.children) if (item.dataset.h) item.style.height = `${item.dataset.h}px`;
    fill($("lanes"), list.length ? h("div", {class: "chart"}, side, picture) : h("p", {class: "soft"}, "No session in this time."),
      list.length > LANES || (narrow && list.length > FEW) ? h("button", {type: "button", id: "all", on: {click: () => { all = !all; show(); $("all").focus(); }}}, all ? "Show fewer" : `Show all ${list.length.toLocaleString()} sessions`) : []);
    $("legend").hidden = $("zoom").hidden = !list.length;
    fill($("zoom"), ZOOMS.map(([word, seconds]) => h("button", {type: "button", "aria-pressed": String(zoom === seconds), on: {click: () => { zoom = seconds; show(); }}}, word)));
  }

  function bar(item, y, width, items, now) {
    const a = Math.max(item.a, -4), b = Math.min(item.b, width + 4), size = b - a;
    const label = item.waits ? `waits: ${few(item.what.map(short), 1)}` : short(item.what) + (item.more ? ` +${item.more}` : "");
    const letters = Math.floor((Math.min(b, width) - Math.max(a, 0) - 10) / 6.1);
    const text = letters >= 4 ? (label.length > letters ? `${label.slice(0, letters - 1)}…` : label) : "";
    const ended = item.how ? `, ${item.how.replaceAll("_", " ")}${item.by ? ` by ${item.by}` : ""} ${brief(Math.min(item.to, D.now))}` : ", still";
    const title = `${item.who} ${item.waits ? `waits for ${item.what.join(", ")}` : `holds ${item.what}${item.more ? ` and ${item.more} more` : ""}`}\nfrom ${whole.format(date(item.at))}${ended}, ${span(Math.min(item.to, D.now) - item.at)}${item.note ? `\n${item.note}` : ""}`;
    const kind = item.waits ? "wait" : item.what.startsWith("task:") ? "bar task" : "bar";
    const past = !item.waits && item.to <= now.when ? " past" : "";
    return s("g", {"data-seq": item.seq}, s("title", {}, title),
      s("rect", {class: kind + past, x: a, y: y + 1, width: Math.max(2, size), height: LINE - 4, rx: Math.min(4, size / 2)}),
      text ? s("text", {class: item.waits || past ? "out" : "in", x: Math.max(a, 0) + 5, y: y + 11.5}, text) : "");
  }

  function axis(from, to, width, height) {
    const steps = [60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800, 2592000];
    const step = steps.find((one) => ((to - from) / one) * 84 <= width) || Math.ceil((to - from) / 4 / 86400) * 86400;
    const zone = date(from).getTimezoneOffset() * 60, ticks = [];
    for (let when = Math.ceil((from - zone) / step) * step + zone; when < to; when += step) {
      const at = ((when - from) / (to - from)) * width;
      const word = step >= 86400 ? day.format(date(when)) : clock.format(date(when)) === "00:00" ? day.format(date(when)) : clock.format(date(when));
      ticks.push(s("line", {class: "rule", x1: at, x2: at, y1: 20, y2: height}));
      if (at > 18 && at < width - 22) ticks.push(s("text", {x: at, y: 13, "text-anchor": "middle"}, word));
    }
    return ticks;
  }

  // Messages and questions as arrows from lane to lane, at their time; a handoff from its offer to who took it. They begin and end at
  // the edges of lanes, and bars lie above them.
  function messages(from, to, x, tops, now, width) {
    const tip = (cx, cy, up, name) => s("path", {class: name, d: `M${cx - 3.5} ${cy + (up ? 6 : -6)}L${cx} ${cy}L${cx + 3.5} ${cy + (up ? 6 : -6)}z`});
    const ends = (a, b) => { const up = tops.get(b)[0] < tops.get(a)[0]; return [up, tops.get(a)[up ? 0 : 1], tops.get(b)[up ? 1 : 0]]; };
    const notes = D.notes.filter((one) => one.at >= from && one.at <= to && tops.has(one.from) && tops.has(one.to) && one.from !== one.to);
    const passes = D.passes.filter((one) => one.takenSeq && tops.has(one.from) && tops.has(one.by) && one.from !== one.by && one.takenAt >= from && one.at <= to);
    return [...notes.slice(-Math.min(MESSAGES, width / 12)).map((one) => {
      const [up, a, b] = ends(one.from, one.to), cx = x(one.at), mark = one.asks && !(one.answered && one.answered <= now.seq) ? " q" : "";
      return s("g", {"data-seq": one.seq}, s("title", {}, `${one.from} to ${one.to}, ${whole.format(date(one.at))}\n${one.subject}`),
        s("line", {class: `to${mark}`, x1: cx, x2: cx, y1: a, y2: b}), s("circle", {class: `tip${mark}`, cx, cy: a, r: 2.5}), tip(cx, b, up, `tip${mark}`));
    }), ...passes.slice(-Math.min(MESSAGES, width / 30)).map((one) => {
      const [up, a, b] = ends(one.from, one.by), x1 = x(one.at), x2 = Math.max(x(one.takenAt), x1 + 1);
      return s("g", {"data-seq": one.takenSeq}, s("title", {}, `${one.by} took over from ${one.from}, ${whole.format(date(one.takenAt))}\n${one.about}`),
        s("path", {class: "pass", d: `M${x1} ${a}C${x1} ${(a + b) / 2} ${x2} ${(a + b) / 2} ${x2} ${b}`}), tip(x2, b, up, "passtip"));
    })];
  }

  // --- tasks, messages, events --------------------------------------------------------------------------------------------

  function drawTasks(now) {
    $("tasks").parentElement.hidden = !D.cards.length;
    const columns = [["blocked", "Blocked"], ["ready", "Ready"], ["work", "In work"], ["done", "Done"]];
    fill($("tasks"), columns.map(([name, word]) => {
      const list = now.cards.filter((one) => one.column === name);
      const items = name === "done" ? [...list].sort((a, b) => b.steps.at(-1)[0] - a.steps.at(-1)[0]) : list;
      const open = (one) => one.needs.filter((need) => now.status.get(need) === "open").map((need) => `#${need}`);
      const more = (one) => (name === "work" ? one.by : name === "blocked" ? `needs ${few(open(one))}` : name === "done" ? (now.status.get(one.task) === "dropped" ? "dropped" : `by ${one.steps.at(-1)[2]}`) : one.to ? `for ${one.to}` : "");
      return h("section", {"aria-label": word}, h("h3", {}, `${word} ${list.length.toLocaleString()}`),
        h("ul", {}, items.slice(0, CARDS).map((one) => h("li", {}, h("span", {class: "soft"}, `#${one.task} `), one.title, more(one) ? h("small", {}, more(one)) : ""))),
        list.length > CARDS ? h("p", {class: "soft"}, `and ${(list.length - CARDS).toLocaleString()} more`) : "");
    }));
  }

  function drawThreads(now) {
    const threads = new Map();
    for (const one of D.notes) if (one.seq <= moment) threads.set(one.root, [...(threads.get(one.root) || []), one]);
    const asks = (list) => list.some((one) => one.asks && !(one.answered && one.answered <= moment));
    const order = [...threads.values()].sort((a, b) => asks(b) - asks(a) || b.at(-1).seq - a.at(-1).seq);
    const to = (one) => (one.to === "broadcast" ? "all" : one.to);
    fill($("threads"), sendForm(), order.slice(0, 15).map((list) => {
      const first = list[0];
      return h("details", {"data-root": first.root}, h("summary", {}, h("span", {}, first.subject || "(no subject)"),
        asks(list) ? h("span", {class: "tag wait"}, first.type === "question" ? "open question" : "open request") : list.length > 1 ? h("span", {class: "tag"}, `${list.length} messages`) : h("span"),
        h("small", {}, `${first.from} → ${to(first)}, ${brief(list.at(-1).at)}`)),
        list.slice(-20).map((one) => h("div", {class: "said"}, h("span", {class: "soft"}, `${one.from} → ${to(one)}, `, instant(one.at)), one === first ? "" : h("p", {}, one.subject), one.body ? h("p", {}, one.body) : "")),
        answerForm(list.find((one) => one.asks && !one.answered)));
    }), order.length ? "" : h("p", {class: "soft"}, "No message yet."),
      order.length > 15 ? h("p", {class: "note"}, `and ${many(order.length - 15, "older thread")}: search finds them`) : "");
  }

  const plain = (text) => text.toLocaleLowerCase();

  function hits(words) {
    const found = [];
    const fits = (text) => words.every((word) => text.includes(word));
    for (let at = D.x.length - 1; at >= 0; at--) {
      const seq = D.first + at;
      if (seq > moment) continue;
      if (!words.length ? D.x[at] : fits(plain(`#${seq} ${D.kinds[D.k[at]]} ${D.who[D.s[at]]} ${D.x[at]}`))) found.push({seq, text: D.x[at] || `${D.who[D.s[at]]} is there`});
    }
    if (words.length) {
      for (const one of D.notes) if (one.seq <= moment && one.body && fits(plain(one.body))) found.push({seq: one.seq, text: `${one.from} to ${one.to}: ${one.body}`});
      for (const one of D.cards) if (one.seq <= moment && fits(plain(`#${one.task} ${one.title}`))) found.push({seq: one.seq, text: `task #${one.task}: ${one.title}`});
      for (const one of D.bars) if (one.seq <= moment && one.note && fits(plain(one.note))) found.push({seq: one.seq, text: `${one.who} holds ${one.what}: ${one.note}`});
    }
    return found;
  }

  function drawLog() {
    const words = plain($("search").value).split(/\s+/).filter(Boolean);
    const list = hits(words);
    $("hits").textContent = words.length ? `${many(list.length, "hit")} up to this moment` : "Newest first. A time leads to that moment; signs of life are left out.";
    fill($("log"), list.slice(0, shown).map((one) => h("li", {},
      h("button", {type: "button", title: whole.format(date(time(one.seq))), "aria-label": `Go to event ${one.seq}`, on: {click: () => go(one.seq)}}, brief(time(one.seq)).split(", ").pop()),
      h("span", {}, one.text))));
    $("more").hidden = list.length <= shown;
  }

  // The track behind the slider: how many leases were held after each event.
  function drawSpark() {
    const count = Math.max(1, D.x.length), change = new Int32Array(count + 2);
    for (const bar of D.bars) {
      const begin = Math.max(0, bar.seq - D.first);
      let end = bar.end ? bar.end - D.first : count;
      if (!bar.end) { let low = 0, high = T.length; while (low < high) { const mid = (low + high) >> 1; if (T[mid] < bar.until) low = mid + 1; else high = mid; } end = low; }
      if (end > begin) { change[begin]++; change[Math.min(end, count + 1)]--; }
    }
    const buckets = Math.min(count, 300), tops = new Float64Array(buckets);
    for (let at = 0, sum = 0; at < count; at++) { sum += change[at]; const to = Math.floor((at / count) * buckets); tops[to] = Math.max(tops[to], sum); }
    const most = Math.max(1, ...tops), points = Array.from(tops, (one, at) => `${((at / Math.max(1, buckets - 1)) * 100).toFixed(2)} ${(29 - (one / most) * 26).toFixed(1)}`);
    $("spark").setAttribute("viewBox", "0 0 100 30");
    $("spark").setAttribute("preserveAspectRatio", "none");
    fill($("spark"), D.bars.length ? [s("path", {class: "area", d: `M0 30L${points.join("L")}L100 30z`}), s("path", {class: "edge", d: `M${points.join("L")}`})] : []);
  }

  // --- moving through time --------------------------------------------------------------------------------------------------

  let asked = 0;
  function show() {
    asked = 0;
    const now = at(moment), opened = new Set(Array.from(document.querySelectorAll("details[open]"), (one) => one.dataset.root));
    drawHead(now); drawSums(now); drawNeeds(now); drawSessions(now); drawLanes(now); drawTasks(now);
    if (!document.activeElement || !document.activeElement.closest("form")) {
      drawThreads(now);
      for (const one of document.querySelectorAll("details")) one.open = opened.has(one.dataset.root);
    }
    drawLog();
  }
  const soon = () => { asked = asked || requestAnimationFrame(show); };

  function go(seq) {
    moment = Math.min(D.total, Math.max(+$("slider").min, seq));
    followed = moment >= D.total;
    soon();
  }

  function stop() { clearInterval(playing); playing = 0; $("play").textContent = "Play"; }

  function begin() {
    $("slider").min = Math.max(0, D.first - 1);
    $("slider").max = D.total;
    $("title").textContent = D.title;
    const left = D.first - 1;
    $("bound").hidden = left <= 0;
    $("bound").textContent = `This page has the newest ${many(D.x.length, "event")} of ${D.total.toLocaleString()}, and what was still going on before them. The ${many(left, "earlier one")} can be asked for: gitcoord log`;
    const sums = D.sums;
    $("foot").textContent = `In all: ${many(sums.events || 0, "event")}, ${many(sums.sessions || 0, "session")}, ${many(sums.claims || 0, "claim")}, ${many(sums.messages || 0, "message")}, ${many(sums.handoffs || 0, "handoff")}, ${many(sums.tasks || 0, "task")}. Times are in your zone (${Intl.DateTimeFormat().resolvedOptions().timeZone}). Made by gitcoord ${D.version}.`;
    if (mode === "file") $("state").textContent = `as of ${whole.format(date(D.now))}`;
    if (followed) moment = D.total;
    drawSpark();
    show();
  }

  function wire() {
    $("slider").addEventListener("input", () => go(+$("slider").value));
    $("back").addEventListener("click", () => go(moment - 1));
    $("on").addEventListener("click", () => go(moment + 1));
    $("now").addEventListener("click", () => { stop(); go(D.total); });
    $("play").addEventListener("click", () => {
      if (playing) return stop();
      if (moment >= D.total) go(+$("slider").min);
      $("play").textContent = "Stop";
      playing = setInterval(() => { if (moment >= D.total) stop(); else go(moment + Math.max(1, Math.round(D.x.length / 400))); }, 60);
    });
    $("search").addEventListener("input", () => { shown = ROWS; drawLog(); });
    $("more").addEventListener("click", () => { shown += 200; drawLog(); });
    $("theme").addEventListener("click", () => {
      const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
    });
    let width = innerWidth;
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; soon(); } });
  }

  // --- a page that is served: it follows the branch, and takes what a person writes ---------------------------------------------

  const drafts = new Map();
  let told = "";

  async function post(what, fields) {
    const answer = await fetch(what, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(fields)});
    const record = await answer.json().catch(() => ({message: `the server says ${answer.status}`}));
    told = answer.ok ? (record.state === "queued" ? "It waits on this machine, the remote is away." : "Sent.") : `${record.message}${record.hint ? ` (${record.hint})` : ""}`;
    if (answer.ok) for (const key of [...drafts.keys()]) if (key.startsWith(`${fields.id || "new"} `)) drafts.delete(key);
    document.activeElement.blur();
    drawThreads(at(moment));
  }

  function field(tag, key, label, attrs) {
    const node = h(tag, {"aria-label": label, placeholder: label, ...attrs, on: {input: () => drafts.set(key, node.value)}});
    node.value = drafts.get(key) || "";
    return node;
  }

  function form(act, ...kids) {
    return h("form", {class: "say", on: {submit: (event) => { event.preventDefault(); act(event.submitter).catch((error) => { told = String(error); }); }}}, ...kids);
  }

  const mine = (one) => one.to === D.me || one.to === "broadcast" || /^(role|cap|repo):/.test(one.to);

  function answerForm(one) {
    if (mode !== "write" || !one || !mine(one)) return "";
    const text = field("textarea", `${one.id} text`, `Answer ${one.from}`, {rows: 2});
    if (one.type === "question") return form(() => post("reply", {id: one.id, text: text.value}), text, h("div", {class: "row"}, h("button", {}, "Answer")));
    return form((button) => post("respond", {id: one.id, answer: button.value, text: text.value}), text,
      h("div", {class: "row"}, ["approve", "share", "deny"].map((word) => h("button", {value: word}, word))));
  }

  function sendForm() {
    if (mode !== "write") return "";
    const to = field("input", "new to", "To: a session, role:NAME, or broadcast", {required: true, list: "who"}), subject = field("input", "new subject", "Subject", {required: true});
    const text = field("textarea", "new text", "Message", {rows: 2});
    return h("details", {"data-root": "new"}, h("summary", {}, h("span", {}, `Write a message as ${D.me}`), h("span", {class: "soft", role: "status"}, told)),
      form(() => post("send", {to: to.value, subject: subject.value, text: text.value}), to, subject, text, h("div", {class: "row"}, h("button", {}, "Send"))));
  }

  function live() {
    const feed = new EventSource("events");
    let since = performance.now();
    feed.addEventListener("message", async () => {
      const answer = await fetch("data");
      if (!answer.ok) return;
      read(await unpack(await answer.text()));
      since = performance.now();
      $("state").textContent = "live";
      begin();
    });
    feed.addEventListener("error", () => { $("state").textContent = "not connected: is it still served?"; });
    setInterval(() => {  // ages grow, and leases run out, though nothing happens
      D.now += (performance.now() - since) / 1000;
      since = performance.now();
      if (followed) soon();
    }, 10000);
  }

  (async () => {
    try {
      read(await unpack($("data").textContent));
    } catch (error) {
      $("state").textContent = "This browser can't unpack the picture: it needs DecompressionStream (2023 or newer).";
      throw error;
    }
    const long = T.length ? D.now - T[0] : 0;
    zoom = long > 2 * 86400 ? 86400 : 0;
    wire();
    begin();
    document.body.dataset.ready = "1";
    if (mode !== "file") live();
  })();
})();
