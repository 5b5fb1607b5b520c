// Tells gitcoord about the steps of an Amp thread, and passes on what it answers. In: gitcoord hooks install --agent amp.
// Out: gitcoord hooks uninstall --agent amp. A missing or failing gitcoord changes nothing.
import { spawn } from "node:child_process"

export const description = "Keeps this thread from files that other sessions hold, and tells it what they say"

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
    const child = spawn("gitcoord", ["hook", "--agent", "amp"], { stdio: ["pipe", "pipe", "ignore"], timeout: MILLISECONDS })
    child.on("error", () => resolve({}))
    child.stdin.on("error", () => {})
    child.stdout.on("data", (part) => (text += part))
    child.on("close", done)
    child.stdin.end(JSON.stringify(said))
  })
}

export default function (amp) {
  const whose = new Map() // each thread, with the one that it helps, or itself: they are one for gitcoord
  const begun = new Set() // threads that gitcoord knows of
  const nagged = new Set() // threads that go on only because they were asked to
  const root = amp.system.workspaceRoot
  const cwd = root ? amp.helpers.filePathFromURI(root) : process.cwd()
  const parts = async (event, ctx) => {
    const thread = event.thread.id
    if (!whose.has(thread)) {
      const parent = await ctx.thread.parentThreadID().catch(() => null)
      whose.set(thread, parent ? (whose.get(parent) ?? parent) : thread)
    }
    return { agent: "amp", session: whose.get(thread), cwd, subagent: whose.get(thread) !== thread }
  }
  const files = (event) => {
    const known = (amp.helpers.filesModifiedByToolCall(event) ?? []).map((one) => amp.helpers.filePathFromURI(one))
    const patch = Object.values(event.input ?? {}).filter((one) => typeof one === "string").join("\n")
    const heads = event.tool === "apply_patch" ? [...patch.matchAll(/^\*\*\* (?:Add File|Update File|Delete File|Move to):(.*)$/gm)] : []
    return [...new Set([...known, ...heads.map((head) => head[1].trim())])]
  }

  amp.on("agent.start", async (event, ctx) => {
    const own = await parts(event, ctx)
    if (own.subagent) return {}
    const told = []
    if (!begun.has(own.session)) {
      begun.add(own.session)
      told.push((await ask({ ...own, event: "start", source: "resume" })).context)
    }
    if (!nagged.has(own.session)) told.push((await ask({ ...own, event: "prompt", id: String(event.id) })).context)
    const content = told.filter(Boolean).join("\n")
    return content ? { message: { content } } : {}
  })

  amp.on("tool.call", async (event, ctx) => {
    const paths = files(event)
    if (!paths.length) return { action: "allow" }
    const said = await ask({ ...(await parts(event, ctx)), event: "before-edit", id: event.toolUseID, paths })
    if (said.verdict !== "deny") return { action: "allow" }
    return { action: "reject-and-continue", message: said.reason || "gitcoord: another session holds it" }
  })

  amp.on("tool.result", async (event, ctx) => {
    const paths = event.status === "done" ? files(event) : []
    if (paths.length) await ask({ ...(await parts(event, ctx)), event: "after-edit", id: event.toolUseID, paths })
  })

  amp.on("agent.end", async (event, ctx) => {
    const own = await parts(event, ctx)
    if (own.subagent) return
    const again = nagged.delete(own.session) || event.status !== "done"
    const said = await ask({ ...own, event: "stop", nagged: again })
    if (!said.go_on) return
    nagged.add(own.session)
    return { action: "continue", userMessage: said.context }
  })

  amp.onDispose(async () => {
    await Promise.all([...begun].map((session) => ask({ agent: "amp", session, cwd, event: "end" })))
  })
}
