// Tells gitcoord about the steps of an opencode session, and passes on what it answers. In: gitcoord hooks install --agent opencode.
// Out: gitcoord hooks uninstall --agent opencode. For opencode 1; a missing or failing gitcoord changes nothing.
import { spawn } from "node:child_process"

const EDITS = new Set(["edit", "write", "multiedit", "patch", "apply_patch"])
const MILLISECONDS = 10000

function ask(said) {
  return new Promise((resolve) => {
    let text = ""
    const done = () => {
      try {
        resolve(JSON.parse(text))
      } catch {
        resolve({})
      }
    }
    const child = spawn("gitcoord", ["hook", "--agent", "opencode"], { stdio: ["pipe", "pipe", "ignore"], timeout: MILLISECONDS })
    child.on("error", () => resolve({}))
    child.stdin.on("error", () => {})
    child.stdout.on("data", (part) => (text += part))
    child.on("close", done)
    child.stdin.end(JSON.stringify(said))
  })
}

function files(args) {
  const named = [args?.filePath, args?.path].filter((one) => typeof one === "string")
  const patch = [args?.patchText, args?.patch, args?.input].filter((one) => typeof one === "string").join("\n")
  const heads = /^\*\*\* (?:Add File|Update File|Delete File|Move to):(.*)$/gm
  return [...named, ...[...patch.matchAll(heads)].map((head) => head[1].trim())]
}

export const Gitcoord = async ({ client, directory, worktree }) => {
  const helpers = new Map() // the sessions of subagents, with those that they help: they are one for gitcoord
  const whose = (session) => helpers.get(session) ?? session
  const parts = (session) => ({
    agent: "opencode", session: whose(session), cwd: directory || worktree, subagent: helpers.has(session),
  })
  const briefings = new Map() // what a session is to be told with its next prompt
  const own = new Set() // sessions whose next prompt is ours
  const begun = new Set() // sessions that gitcoord knows of
  const once = process.argv.includes("run") // `opencode run` leaves as soon as its session is idle
  let nagged = "" // the session that goes on only because it was asked to
  const begin = (session, source) => {
    begun.add(session)
    briefings.set(session, ask({ ...parts(session), event: "start", source }).then((said) => said.context))
  }
  return {
    event: async ({ event }) => {
      const session = event.properties?.info?.id ?? event.properties?.sessionID
      const parent = event.properties?.info?.parentID
      if (event.type === "session.created" && parent) helpers.set(session, whose(parent))
      if (!session || helpers.has(session)) return
      if (event.type === "session.created") begin(session, "startup")
      if (event.type === "session.compacted") begin(session, "compact")
      if (event.type === "session.deleted") await ask({ ...parts(session), event: "end" })
      if (event.type !== "session.idle") return
      if (once) return void (await ask({ ...parts(session), event: "end" })) // nobody would read a question any more
      const said = await ask({ ...parts(session), event: "stop", nagged: nagged === session })
      nagged = said.go_on ? session : ""
      if (!said.go_on) return
      own.add(session)
      const body = { parts: [{ type: "text", text: said.context }] }
      await client.session.prompt({ path: { id: session }, body }).catch(() => own.delete(session))
    },
    "chat.message": async (input, output) => {
      const session = input.sessionID
      if (!begun.has(session) && !helpers.has(session)) begin(session, "resume")
      const told = [await briefings.get(session)]
      briefings.delete(session)
      if (!own.delete(session) && !helpers.has(session)) {
        told.push((await ask({ ...parts(session), event: "prompt", id: input.messageID ?? output.message?.id })).context)
      }
      const text = told.filter(Boolean).join("\n")
      const last = output.parts.at(-1)
      // A part of its own, behind the person's words; not a prompt of its own: that would come here again.
      if (text && last) output.parts.push({ ...last, id: `${last.id}0`, type: "text", text, synthetic: true })
    },
    "tool.execute.before": async (input, output) => {
      if (!EDITS.has(input.tool)) return
      const said = await ask({ ...parts(input.sessionID), event: "before-edit", id: input.callID, paths: files(output.args) })
      if (said.verdict === "deny") throw new Error(said.reason || "gitcoord: another session holds it")
    },
    "tool.execute.after": async (input, output) => {
      if (!EDITS.has(input.tool) && input.tool !== "bash") return
      const paths = files(input.args ?? output.args ?? output.metadata)
      const edit = EDITS.has(input.tool) ? { event: "after-edit", paths } : { event: "after-tool" }
      const said = await ask({ ...parts(input.sessionID), ...edit, id: input.callID })
      if (said.context && typeof output.output === "string") output.output += `\n${said.context}`
    },
    "shell.env": async (input, output) => {
      if (input.sessionID) output.env.GITCOORD_AGENT_ID = whose(input.sessionID)
    },
  }
}
